import { JsonNumber, isArray, type JsonValue } from "./json-value.ts";

/** JSON text of a value, numbers as they were written. */
export function encodeJson(value: JsonValue): string {
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "string") return JSON.stringify(value);
  if (value instanceof JsonNumber) return value.text;
  if (isArray(value)) return `[${value.map(encodeJson).join(",")}]`;
  return `{${Array.from(value, ([key, item]) => `${JSON.stringify(key)}:${encodeJson(item)}`).join(",")}}`;
}
