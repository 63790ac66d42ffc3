/** Milliseconds before the second attempt. */
const first = 1000;
/** Milliseconds that any attempt waits at most. */
export const longestBackOff = 600_000;

/** Milliseconds to wait after the given number of failed attempts: doubling, capped, with a random half. */
export function backOff(attempts: number, random: () => number = Math.random): number {
  const full = Math.min(longestBackOff, first * 2 ** Math.min(attempts - 1, 20));
  return Math.round(full / 2 + (full / 2) * random());
}
