import { JsonNumber, isArray, type JsonObject, type JsonValue } from "../json/json-value.ts";
import { denied, malformed } from "../refusal.ts";
import type { Scope } from "./scope.ts";

/** Checks one value and gives what goes to dockerd instead; undefined leaves the field out. Never sees null. */
export type Schema = (value: JsonValue, scope: Scope) => JsonValue | undefined;

/** How many elements a list or map may have. */
const mostItems = 10_000;

export interface TextLimits {
  readonly pattern?: RegExp;
  readonly max?: number;
  /** What the value should look like, for the message. */
  readonly like?: string;
}

export function text({ pattern, max = 1 << 20, like }: TextLimits = {}): Schema {
  return (value, { at }) => {
    if (typeof value !== "string") throw malformed(at, "has to be a string");
    if (value.length > max) throw malformed(at, `has more than ${max} characters`);
    if (value.includes("\0")) throw malformed(at, "has a NUL character");
    if (pattern && !pattern.test(value))
      throw denied(at, `${show(value)} is not allowed${like === undefined ? "" : `; use ${like}`}`);
    return value;
  };
}

export const flag: Schema = (value, { at }) => {
  if (typeof value !== "boolean") throw malformed(at, "has to be true or false");
  return value;
};

const int64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n };

/** An int64, exact; out of `min` and `max` is denied. */
export function integer(limits: { readonly min?: bigint; readonly max?: bigint } = {}): Schema {
  return (value, { at }) => {
    const number = value instanceof JsonNumber ? value.integer : undefined;
    if (number === undefined || number < int64.min || number > int64.max)
      throw malformed(at, "has to be an integer of 64 bits");
    if (limits.min !== undefined && number < limits.min) throw denied(at, `has to be at least ${limits.min}`);
    if (limits.max !== undefined && number > limits.max) throw denied(at, `has to be at most ${limits.max}`);
    return value;
  };
}

export function list(item: Schema): Schema {
  return (value, scope) => {
    if (!isArray(value)) throw malformed(scope.at, "has to be a list");
    if (value.length > mostItems) throw malformed(scope.at, `has more than ${mostItems} elements`);
    return value.flatMap((element) => {
      if (element === null) throw malformed(scope.at, "has a null element");
      const result = item(element, scope);
      return result === undefined ? [] : [result];
    });
  };
}

/** A map with keys of the user's own, such as labels; null values stay as `whenNull`. */
export function map(
  item: Schema,
  options: { readonly key?: (key: string, scope: Scope) => void; readonly whenNull?: JsonValue } = {},
): Schema {
  return (value, scope) => {
    if (!(value instanceof Map)) throw malformed(scope.at, "has to be an object");
    if (value.size > mostItems) throw malformed(scope.at, `has more than ${mostItems} keys`);
    const result: JsonObject = new Map();
    for (const [key, element] of value) {
      options.key?.(key, scope);
      const checked =
        element === null
          ? options.whenNull
          : item(element, { at: `${scope.at}[${key}]`, rules: scope.rules });
      if (checked !== undefined) result.set(key, checked);
    }
    return result;
  };
}

/** One of some words; `""` has to be listed to be accepted. */
export const oneOf = (words: readonly string[]): Schema => {
  const accepted = words.filter((word) => word !== "").join(", ");
  return (value, { at }) => {
    if (typeof value !== "string") throw malformed(at, "has to be a string");
    if (!words.includes(value))
      throw denied(at, `${show(value)} is not allowed; use ${accepted || "nothing"}`);
    return value;
  };
};

/** Accepts Go's zero values, which mean "not set", and denies anything else. */
export const unset =
  (remedy: string): Schema =>
  (value, { at }) => {
    if (!isZero(value)) throw denied(at, remedy);
    return undefined;
  };

/** Reads over a field that has no effect. */
export const ignored: Schema = () => undefined;

/** A string or a list of strings, as a list. */
export const words: Schema = (value, scope) =>
  typeof value === "string" ? [value] : list(text())(value, scope);

/** An empty object. */
export const empty: Schema = (value, { at }) => {
  if (!(value instanceof Map) || value.size > 0) throw malformed(at, "has to be an empty object");
  return value;
};

/** A decision that needs more than one word. */
export const refine =
  (first: Schema, next: (value: JsonValue, scope: Scope) => JsonValue | undefined): Schema =>
  (value, scope) => {
    const checked = first(value, scope);
    return checked === undefined ? undefined : next(checked, scope);
  };

export const isZero = (value: JsonValue): boolean =>
  value === null ||
  value === false ||
  value === "" ||
  (value instanceof JsonNumber && value.integer === 0n) ||
  (isArray(value) && value.length === 0) ||
  (value instanceof Map && value.size === 0);

/** For messages: short, without control characters. */
export const show = (value: JsonValue): string =>
  typeof value === "string"
    ? JSON.stringify(value.length > 100 ? `${value.slice(0, 100)}…` : value)
    : "the value";
