import { InvalidArgumentError } from "commander";

const units: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** A time span such as `90s`, `2h` or `3d`, in milliseconds. */
export function parseSpan(text: string): number {
  const span = /^(\d{1,9})([smhdw])$/.exec(text);
  if (span === null) throw new InvalidArgumentError("Expected a time span such as 90s, 2h or 3d.");
  return Number(span[1]) * (units[span[2] ?? ""] ?? 0);
}

/** A point in time as people say it: how long ago (`90s`, `2h`, `3d`) or ISO 8601. */
export function parseSince(text: string, now: Date = new Date()): Date {
  const span = /^(\d{1,9})([smhdw])$/.exec(text);
  if (span !== null) return new Date(now.getTime() - Number(span[1]) * (units[span[2] ?? ""] ?? 0));
  const at = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(at))
    throw new InvalidArgumentError(
      "Expected a time span such as 2h or 3d, or a time such as 2026-01-31T12:00Z.",
    );
  return new Date(at);
}
