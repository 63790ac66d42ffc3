import type { Timestamp } from "@bufbuild/protobuf/wkt";

/** ISO 8601 in UTC: milliseconds, or all nine digits of the nanoseconds when there is more to say. */
export function isoTime(at: Timestamp | undefined): string | null {
  if (at === undefined) return null;
  const nanos = String(at.nanos).padStart(9, "0");
  const fraction = nanos.endsWith("000000") ? nanos.slice(0, 3) : nanos;
  return new Date(Number(at.seconds) * 1000).toISOString().replace(".000Z", `.${fraction}Z`);
}

/** The same without fractions of a second, for tables. */
export const shortTime = (iso: string | null): string | null => iso?.replace(/\.\d+Z$/, "Z") ?? null;

/** The same of nanoseconds since the epoch. */
export function nanosecondTime(at: bigint): string {
  const second = 1_000_000_000n;
  const nanos = ((at % second) + second) % second;
  const text = String(nanos).padStart(9, "0");
  const date = new Date(Number((at - nanos) / second) * 1000);
  if (Number.isNaN(date.getTime())) return `${(at - nanos) / second}s`;
  return date.toISOString().replace(".000Z", `.${text.endsWith("000000") ? text.slice(0, 3) : text}Z`);
}
