/** Resolves true when `work` ends within the time, false when it does not; rejects when it rejects in time. */
export async function endsWithin(
  work: PromiseLike<unknown>,
  ms: number,
  skip?: AbortSignal,
): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<false>();
  const giveUp = () => resolve(false);
  const timer = setTimeout(giveUp, ms);
  skip?.addEventListener("abort", giveUp, { once: true });
  if (skip?.aborted === true) giveUp();
  try {
    return await Promise.race([Promise.resolve(work).then(() => true), promise]);
  } finally {
    clearTimeout(timer);
    skip?.removeEventListener("abort", giveUp);
  }
}
