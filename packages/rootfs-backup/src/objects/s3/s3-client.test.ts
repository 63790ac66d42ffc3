import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { S3Client } from "./s3-client.ts";
import { S3Failure, type FailureKind } from "./s3-failure.ts";
import type { S3Options } from "./s3-options.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const options: S3Options = {
  endpoint: "http://127.0.0.1:1",
  bucket: "bucket",
  region: "us-east-1",
  prefix: "",
  credentials: { current: async () => ({ accessKey: "A", secretKey: "S" }) },
  pathStyle: true,
  partSize: 5 << 20,
  concurrency: 1,
  timeouts: { connect: 1, idle: 1, total: 1 },
  retry: { retries: 250, minDelayMs: 250, maxDelayMs: 20_000 },
  spool: "/nonexistent",
};
const hour = 3_600_000;

test("through an hour without a store the pauses grow to the longest, and then it succeeds", async () => {
  using client = new S3Client(options);
  const times: number[] = [];
  const end = Date.now() + hour;
  const call = client.call("cannot try", AbortSignal.any([]), async () => {
    times.push(Date.now());
    if (Date.now() < end) throw new S3Failure("transient", "down");
    return "done";
  });
  await vi.advanceTimersByTimeAsync(hour + 30_000);
  expect(await call).toBe("done");
  const pauses = times.slice(1).map((time, index) => time - (times[index] ?? 0));
  for (const [index, pause] of pauses.entries()) {
    expect(pause).toBeGreaterThanOrEqual(Math.min(250 * 2 ** index, 20_000));
    expect(pause).toBeLessThanOrEqual(Math.min(500 * 2 ** index, 20_000));
  }
  expect(times.length).toBeLessThan(200);
});

test("a pause ends with its call", async () => {
  using client = new S3Client(options);
  const stop = new AbortController();
  const call = client.call("cannot try", stop.signal, async () => {
    throw new S3Failure("transient", "down");
  });
  const failed = call.catch(String);
  await vi.advanceTimersByTimeAsync(1000);
  stop.abort(new Error("enough"));
  expect(await failed).toContain("enough");
});

test.each<[FailureKind, string]>([
  ["denied", "STORE_DENIED"],
  ["refused", "STORE_UNUSABLE"],
])("what is %s is not tried again", async (kind, reason) => {
  using client = new S3Client(options);
  let attempts = 0;
  const call = client.call("cannot try", AbortSignal.any([]), async () => {
    attempts += 1;
    throw new S3Failure(kind, "no");
  });
  await expect(call).rejects.toMatchObject({ reason, message: "cannot try in s3://bucket: no" });
  expect(attempts).toBe(1);
});
