/** Milliseconds before the second attempt, and the most that any waits. */
const first = 1000;
const most = 600_000;

/** Milliseconds to wait after the given number of failed attempts: doubling, capped, with a random half. */
export function backOff(attempts: number, random: () => number = Math.random): number {
  const full = Math.min(most, first * 2 ** Math.min(attempts - 1, 20));
  return Math.round(full / 2 + (full / 2) * random());
}
