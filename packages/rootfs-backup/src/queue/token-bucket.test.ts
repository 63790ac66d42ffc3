import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { TokenBucket } from "./token-bucket.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const { signal } = new AbortController();

test("an hour of uploads takes the bytes of an hour, whatever their sizes and however many at once", async () => {
  const bucket = new TokenBucket(1000);
  let passed = 0;
  const stop = new AbortController();
  const upload = async (size: number): Promise<void> => {
    for (;;) {
      await bucket.take(size, stop.signal);
      passed += size;
    }
  };
  const uploads = [1, 700, 5000].map((size) => upload(size).catch(() => {}));
  await vi.advanceTimersByTimeAsync(3_600_000);
  stop.abort();
  await Promise.all(uploads);
  expect(passed).toBeGreaterThan(3_600_000 - 10_000);
  expect(passed).toBeLessThanOrEqual(3_600_250);
});

test("a pause is no credit for more than a moment", async () => {
  const bucket = new TokenBucket(1000);
  await bucket.take(1, signal);
  await vi.advanceTimersByTimeAsync(3_600_000);
  const startedAt = performance.now();
  const taken = Promise.all([bucket.take(250, signal), bucket.take(1000, signal)]);
  await vi.advanceTimersByTimeAsync(10_000);
  await taken;
  let isDone = false;
  const next = bucket.take(20_000, signal).then(() => (isDone = true));
  await vi.advanceTimersByTimeAsync(9000);
  expect(isDone).toBe(false);
  await vi.advanceTimersByTimeAsync(11_000);
  await next;
  expect(performance.now() - startedAt).toBe(30_000);
});

test("whoever waits can give up", async () => {
  const bucket = new TokenBucket(1);
  const stop = new AbortController();
  const waiting = bucket.take(1_000_000, stop.signal);
  stop.abort(new Error("enough"));
  await expect(waiting).rejects.toThrow("enough");
  await expect(bucket.take(1, stop.signal)).rejects.toThrow("enough");
});
