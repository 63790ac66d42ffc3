/** A number as it was written: int64 values survive, and nothing is rounded. */
export class JsonNumber {
  readonly text: string;

  constructor(text: string | number | bigint) {
    this.text = String(text);
  }

  /** Undefined for what Go does not take as an integer, such as `1.0` and `1e3`. */
  get integer(): bigint | undefined {
    return /^-?(0|[1-9]\d*)$/.test(this.text) ? BigInt(this.text) : undefined;
  }
}

/** A decoded object; keys are exact and appear once. */
export type JsonObject = Map<string, JsonValue>;

export type JsonValue = null | boolean | string | JsonNumber | readonly JsonValue[] | JsonObject;

/** The text of a value that was checked to be one; empty for others. */
export const plainText = (value: JsonValue | undefined): string => (typeof value === "string" ? value : "");

export const isArray = (value: JsonValue | undefined): value is readonly JsonValue[] => Array.isArray(value);
