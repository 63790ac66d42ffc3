/** Maps what a source gives, up to `width` at the same time, in the source's order. */
export async function* concurrently<From, To>(
  source: AsyncIterable<From>,
  width: number,
  map: (item: From) => Promise<To>,
): AsyncGenerator<To, void> {
  const running: Promise<To>[] = [];
  try {
    for await (const item of source) {
      const mapped = map(item);
      // Handled where it is awaited; until then it must not end the process.
      mapped.catch(() => {});
      running.push(mapped);
      if (running.length < width) continue;
      const first = running.shift();
      if (first !== undefined) yield await first;
    }
    for (let next = running.shift(); next !== undefined; next = running.shift()) yield await next;
  } finally {
    await Promise.allSettled(running);
  }
}
