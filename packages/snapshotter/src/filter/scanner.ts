/** What a piece of filter text is. */
export type Token = "quoted" | "value" | "field" | "separator" | "operator" | "end" | "illegal";

export interface Scanned {
  readonly token: Token;
  readonly text: string;
  /** Where the token starts, in UTF-16 units. */
  readonly at: number;
}

const quotes = new Set(['"', "/", "|"]);
const operators = new Set(["=", "!", "~"]);
const separators = new Set([",", "."]);
const simpleEscapes = new Set(["a", "b", "f", "n", "r", "t", "v", "\\"]);
/** Digits after an escape's letter. */
const hexDigits = new Map([
  ["x", 2],
  ["u", 4],
  ["U", 8],
]);

const isField = (char: string): boolean => /^\w$/.test(char);
const isSpace = (char: string): boolean => /^[\s\u0085]$/u.test(char) && char !== "\uFEFF";
const isValue = (char: string): boolean =>
  char !== "," && !isSpace(char) && /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u.test(char);

/** Cuts a filter into tokens, as containerd's own scanner does. */
export class Scanner {
  readonly #chars: readonly string[];
  #index = 0;
  #at = 0;
  /** What is wrong, after an illegal token. */
  problem = "unexpected character";

  constructor(input: string) {
    this.#chars = Array.from(input);
  }

  /** The next character without reading it; empty at the end. */
  peek(): string {
    return this.#chars[this.#index] ?? "";
  }

  get position(): number {
    return this.#at;
  }

  /** Reads a token; `wantValue` after an operator, where almost any text is a value. */
  scan(wantValue = false): Scanned {
    while (isSpace(this.peek())) this.#next();
    const at = this.#at;
    const start = this.#index;
    const token = this.#token(this.#next(), wantValue);
    return { token, text: this.#chars.slice(start, this.#index).join(""), at };
  }

  #token(first: string, wantValue: boolean): Token {
    if (first === "") return "end";
    if (first === "\0") return "illegal";
    if (quotes.has(first)) return this.#quoted(first) ? "quoted" : "illegal";
    if (separators.has(first)) return "separator";
    if (operators.has(first)) return this.#while((char) => operators.has(char), "operator");
    if (wantValue) return this.#while(isValue, "value");
    if (isField(first)) return this.#while(isField, "field");
    return "illegal";
  }

  #next(): string {
    const char = this.peek();
    if (char !== "") this.#index += 1;
    this.#at += char.length;
    return char;
  }

  #while(belongs: (char: string) => boolean, token: Token): Token {
    while (this.peek() !== "" && belongs(this.peek())) this.#next();
    return token;
  }

  #quoted(quote: string): boolean {
    for (;;) {
      const char = this.#next();
      if (char === quote) return true;
      if (char === "" || char === "\n" || char === "\0") return this.#fail("quoted text has no end");
      if (char === "\\" && !this.#escape(quote)) return this.#fail("unknown escape in quoted text");
    }
  }

  #escape(quote: string): boolean {
    const char = this.#next();
    if (simpleEscapes.has(char) || char === quote) return true;
    if (/^[0-7]$/.test(char)) return this.#digits(/^[0-7]$/, 2);
    const count = hexDigits.get(char);
    return count !== undefined && this.#digits(/^[0-9a-fA-F]$/, count);
  }

  #digits(digit: RegExp, count: number): boolean {
    for (let left = count; left > 0; left--) if (!digit.test(this.#next())) return false;
    return true;
  }

  #fail(problem: string): false {
    this.problem = problem;
    return false;
  }
}
