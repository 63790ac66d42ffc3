/** Milliseconds to wait after so many failures in a row: doubling, at most half a minute, with a random half taken off. */
export function pauseAfter(failures: number, random: () => number = Math.random): number {
  const full = Math.min(30_000, 500 * 2 ** Math.min(failures, 10));
  return Math.round(full * (0.5 + random() / 2));
}
