import type { AeonError } from "@aeon/core";
import { errors } from "../errors.ts";
import { Scanner } from "./scanner.ts";
import { unquote } from "./unquote.ts";

/** `present` is a selector without an operator. */
export type Operator = "present" | "==" | "!=" | "~=";

export interface Selector {
  /** Never empty. */
  readonly path: readonly string[];
  readonly operator: Operator;
  /** Empty for `present`. */
  readonly value: string;
}

/** UTF-16 units of one filter. */
const maxLength = 64 * 1024;

/**
 * Parses one containerd filter: selectors joined by commas, all of which have to match. An empty filter has no
 * selector. Throws `SNAPSHOT_FILTER_INVALID` with the position.
 */
export function parseFilter(input: string): readonly Selector[] {
  if (input === "") return [];
  if (input.length > maxLength)
    throw errors.SNAPSHOT_FILTER_INVALID(`filter is longer than ${maxLength} characters`);
  return new Parser(input).filter();
}

class Parser {
  readonly #input: string;
  readonly #scanner: Scanner;

  constructor(input: string) {
    this.#input = input;
    this.#scanner = new Scanner(input);
  }

  filter(): readonly Selector[] {
    const selectors = [this.#selector()];
    while (this.#scanner.peek() === ",") {
      this.#scanner.scan();
      selectors.push(this.#selector());
    }
    if (this.#scanner.peek() !== "") throw this.#error("expected a comma or the end", this.#scanner.position);
    return selectors;
  }

  #selector(): Selector {
    const path = this.#path();
    const next = this.#scanner.peek();
    if (next === "," || next === "") return { path, operator: "present", value: "" };
    const operator = this.#operator();
    return { path, operator, value: this.#value(operator === "~=") };
  }

  #path(): readonly string[] {
    const path = [this.#field()];
    while (this.#scanner.peek() === ".") {
      this.#scanner.scan();
      path.push(this.#field());
    }
    return path;
  }

  #field(): string {
    const { token, text, at } = this.#scanner.scan();
    if (token === "field") return text;
    if (token === "quoted") return this.#unquote(text, at, false);
    throw this.#error(token === "illegal" ? this.#scanner.problem : "expected a field", at);
  }

  #operator(): "==" | "!=" | "~=" {
    const { token, text, at } = this.#scanner.scan();
    if (token === "operator" && (text === "==" || text === "!=" || text === "~=")) return text;
    throw this.#error("expected one of == != ~=", at);
  }

  #value(anyQuotes: boolean): string {
    const { token, text, at } = this.#scanner.scan(true);
    if (token === "value") return text;
    if (token === "quoted") return this.#unquote(text, at, anyQuotes);
    throw this.#error(token === "illegal" ? this.#scanner.problem : "expected a value", at);
  }

  #unquote(text: string, at: number, anyQuotes: boolean): string {
    if (!anyQuotes && !text.startsWith('"'))
      throw this.#error("only patterns after ~= may be quoted by / or |", at);
    const value = unquote(text);
    if (value === undefined) throw this.#error("unknown escape in quoted text", at);
    return value;
  }

  #error(problem: string, at: number): AeonError {
    const shown = JSON.stringify(this.#input.slice(0, 200));
    return errors.SNAPSHOT_FILTER_INVALID(`filter ${shown}: ${problem} at character ${at + 1}`, {
      details: { at },
    });
  }
}
