import { decodeJson } from "../json/decode-json.ts";
import { encodeJson } from "../json/encode-json.ts";
import { isArray, type JsonValue, plainText } from "../json/json-value.ts";
import { denied, malformed } from "../refusal.ts";
import { show, type Schema } from "./schema.ts";
import { below, type FieldRules, type Scope } from "./scope.ts";

/** Checks one query value and gives what goes to dockerd; undefined leaves it out. */
export type Parameter = (value: string, scope: Scope) => string | undefined;

export interface QueryField {
  readonly check: Parameter;
  /** May be given several times. */
  readonly many?: boolean;
}

export type QuerySchema = Readonly<Record<string, QueryField | Parameter>>;

const most = 1000;

/** Checks a query key by key; keys are case-sensitive, as in dockerd. Gives the pairs to send. */
export function checkQuery(
  pairs: readonly (readonly [string, string])[],
  schema: QuerySchema,
  rules: FieldRules,
): readonly (readonly [string, string])[] {
  if (pairs.length > most) throw malformed("", `more than ${most} query parameters`, "query");
  const seen = new Set<string>();
  return pairs.flatMap(([key, value]) => {
    // dockerode repeats the body there; dockerd has no such parameters, and they do not go on.
    if (/^[A-Z]/.test(key)) return [];
    const scope = below({ at: "query", rules }, key);
    const field = Object.hasOwn(schema, key) ? schema[key] : undefined;
    if (field === undefined)
      throw denied(
        scope.at,
        "this query parameter is not known to the filter; leave it out",
        "unknown-query",
      );
    const { check, many = false } = typeof field === "function" ? { check: field } : field;
    if (seen.has(key) && !many) throw malformed(scope.at, "is given twice", "query-duplicate");
    seen.add(key);
    const rule = rules(scope.at);
    if (rule?.verdict === "deny") throw denied(scope.at, rule.reason, "policy");
    if (rule?.verdict === "rewrite") return [[key, plainText(rule.value)] as const];
    const checked = rule?.verdict === "allow" ? value : check(value, scope);
    return checked === undefined ? [] : [[key, checked] as const];
  });
}

/** Any text without control characters. */
export const words =
  (pattern?: RegExp, max = 65_536): Parameter =>
  (value, { at }) => {
    // oxlint-disable-next-line no-control-regex
    if (value.length > max || /[\0\r\n]/.test(value))
      throw malformed(at, "is too long or has control characters");
    if (pattern && !pattern.test(value)) throw denied(at, `${show(value)} is not allowed`);
    return value;
  };

/** Several lines are fine, as in messages and changes. */
export const prose: Parameter = (value, { at }) => {
  if (value.length > 65_536 || value.includes("\0"))
    throw malformed(at, "is too long or has a NUL character");
  return value;
};

/** What dockerd takes for true and false; goes out as 1 or 0. */
export const bool: Parameter = (value) =>
  ["", "0", "no", "false", "none"].includes(value.toLowerCase().trim()) ? "0" : "1";

export const number: Parameter = words(/^-?\d{0,19}$/);
/** Seconds, RFC 3339, or Go's durations. */
export const time: Parameter = words(/^[\w.:+-]{0,64}$/);

export const omitted: Parameter = () => undefined;

/** JSON in a query value. */
export const json =
  (schema: Schema): Parameter =>
  (value, scope) => {
    if (value === "" || value === "null") return undefined;
    const decoded = decodeJson(Buffer.from(value));
    const checked = decoded === null ? undefined : schema(decoded, scope);
    return checked === undefined ? undefined : encodeJson(checked);
  };

/** `{"label":["a"]}`, or the older `{"label":{"a":true}}`. */
export const filters: Parameter = json((value, { at }) => {
  if (!(value instanceof Map)) throw malformed(at, "has to be an object");
  for (const [key, entry] of value)
    if (!isFilter(entry)) throw malformed(`${at}[${key}]`, "has to be a list of texts");
  return value;
});

const isFilter = (value: JsonValue): boolean =>
  isArray(value)
    ? value.every((item) => typeof item === "string")
    : value instanceof Map && [...value.values()].every((item) => typeof item === "boolean");
