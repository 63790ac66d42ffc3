/** Waits for work that goes on without the caller. */
export async function within<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  // When the caller gives up nobody else may be left to hear of a failure.
  work.catch(() => {});
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
