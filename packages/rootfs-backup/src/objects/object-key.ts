import { createHash } from "node:crypto";
import type { ObjectKey } from "./object-store.ts";

const mostKeyBytes = 900;
/** Encoded names up to this length stay readable; longer ones end with a digest. */
const mostSegmentBytes = 180;
const keptBytes = 100;
const segmentPattern = /^(?!\.)[A-Za-z0-9._~-]{1,255}$/;

/**
 * One segment of a key for any name: readable for usual names, different for different names, never `.` or hidden.
 * Other bytes become `~` and two hexadecimal digits.
 */
export function encodeSegment(name: string): string {
  const bytes = Buffer.from(name);
  let encoded = "";
  for (const [index, byte] of bytes.entries()) {
    const character = String.fromCharCode(byte);
    const isPlain = /[A-Za-z0-9_-]/.test(character) || (character === "." && index > 0);
    encoded += isPlain ? character : `~${byte.toString(16).padStart(2, "0")}`;
  }
  if (encoded.length > 0 && encoded.length <= mostSegmentBytes) return encoded;
  return `${encoded.slice(0, keptBytes)}~~${createHash("sha256").update(bytes).digest("hex")}`;
}

/** Throws a RangeError for what no store may be asked: a programming error, since names are encoded. */
export function assertKey(key: ObjectKey): void {
  const isKey = key.length <= mostKeyBytes && key.split("/").every((segment) => segmentPattern.test(segment));
  if (!isKey) throw new RangeError(`${JSON.stringify(key.slice(0, 200))} is not the key of an object`);
}

/** As {@link assertKey} for a folder, which ends with a slash. */
export function assertPrefix(prefix: string): void {
  if (prefix === "") return;
  if (!prefix.endsWith("/")) throw new RangeError(`${JSON.stringify(prefix)} does not end with a slash`);
  assertKey(prefix.slice(0, -1));
}

/** True for objects that are replaced, rather than written once. */
export const isMutable = (key: ObjectKey): boolean => /(?:^|\/)[A-Z][A-Z-]*\.json$/.test(key);
