import { malformed } from "../refusal.ts";
import { JsonNumber, type JsonObject, type JsonValue } from "./json-value.ts";

/** Levels of arrays and objects; Docker's own requests have fewer than ten. */
const deepest = 64;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Decodes one JSON text and nothing after it. Refuses (400) what parsers read differently: keys that appear twice,
 * text that is no UTF-8, halves of surrogate pairs, NUL bytes, more than 64 levels.
 */
export function decodeJson(bytes: Uint8Array): JsonValue {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw malformed("", "the body is not valid UTF-8", "json-encoding");
  }
  return new Decoder(text).decode();
}

const numberPattern = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
// oxlint-disable-next-line no-control-regex
const plainPattern = /[^"\\\u0000-\u001f]*/y;
const spacePattern = /[ \t\r\n]*/y;
const escapes: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

class Decoder {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  decode(): JsonValue {
    this.#space();
    const value = this.#value(0);
    this.#space();
    if (this.#at < this.#text.length)
      throw this.#fault("something follows the end of the JSON value", "json-trailing");
    return value;
  }

  #value(depth: number): JsonValue {
    if (depth > deepest) throw this.#fault(`more than ${deepest} levels`, "json-depth");
    const character = this.#text[this.#at];
    if (character === "{") return this.#object(depth + 1);
    if (character === "[") return this.#array(depth + 1);
    if (character === '"') return this.#string();
    for (const [word, value] of words) if (this.#takes(word)) return value;
    return new JsonNumber(this.#match(numberPattern) || this.#fail("no JSON value"));
  }

  #object(depth: number): JsonObject {
    const object: JsonObject = new Map();
    this.#at += 1;
    this.#space();
    if (this.#takes("}")) return object;
    do {
      this.#space();
      if (this.#text[this.#at] !== '"') this.#fail("no object key");
      const key = this.#string();
      if (object.has(key))
        throw this.#fault(`the key ${JSON.stringify(key)} appears twice`, "json-duplicate");
      this.#space();
      if (!this.#takes(":")) this.#fail("no colon after an object key");
      this.#space();
      object.set(key, this.#value(depth));
      this.#space();
    } while (this.#takes(","));
    if (!this.#takes("}")) this.#fail("the object does not end");
    return object;
  }

  #array(depth: number): JsonValue[] {
    const array: JsonValue[] = [];
    this.#at += 1;
    this.#space();
    if (this.#takes("]")) return array;
    do {
      this.#space();
      array.push(this.#value(depth));
      this.#space();
    } while (this.#takes(","));
    if (!this.#takes("]")) this.#fail("the array does not end");
    return array;
  }

  #string(): string {
    this.#at += 1;
    let text = "";
    for (;;) {
      text += this.#match(plainPattern);
      const character = this.#text[this.#at];
      this.#at += 1;
      if (character === '"') break;
      if (character !== "\\") this.#fail("the string does not end, or has a control character");
      text += this.#escape();
    }
    if (!text.isWellFormed()) throw this.#fault("half of a surrogate pair", "json-encoding");
    return text;
  }

  #escape(): string {
    const character = this.#text[this.#at] ?? "";
    this.#at += 1;
    if (character !== "u") return escapes[character] ?? this.#fail("unknown escape");
    const digits = this.#text.slice(this.#at, this.#at + 4);
    if (!/^[0-9a-fA-F]{4}$/.test(digits)) this.#fail("incomplete \\u escape");
    this.#at += 4;
    return String.fromCharCode(Number.parseInt(digits, 16));
  }

  #takes(word: string): boolean {
    const found = this.#text.startsWith(word, this.#at);
    if (found) this.#at += word.length;
    return found;
  }

  #space(): void {
    this.#match(spacePattern);
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const [found = ""] = pattern.exec(this.#text) ?? [];
    this.#at += found.length;
    return found;
  }

  #fail(what: string): never {
    throw this.#fault(what, "json-syntax");
  }

  #fault(what: string, rule: string): Error {
    return malformed("", `invalid JSON at character ${this.#at}: ${what}`, rule);
  }
}

const words: readonly (readonly [string, JsonValue])[] = [
  ["true", true],
  ["false", false],
  ["null", null],
];
