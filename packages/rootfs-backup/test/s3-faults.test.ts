import { createHash, randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isAeonError } from "@aeon/core";
import { launchFaultProxy, type Fault, type FaultProxy, type FaultProxyOptions } from "@aeon/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ObjectStore } from "../src/objects/object-store.ts";
import { objectStoreContract } from "./object-store-contract.ts";
import { launchBucket, type TestBucket } from "./s3.ts";

const seed = Number(process.env["AEON_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
console.log(`faults by seed ${seed}; AEON_SEED=${seed} repeats them`);

const { signal } = new AbortController();
const timeouts = { connect: 2000, idle: 1000, total: 10_000 };
let bucket: TestBucket;
beforeAll(async () => {
  bucket = await launchBucket();
});
afterAll(() => bucket[Symbol.asyncDispose]());

const proxyOf = (options: Partial<FaultProxyOptions> = {}): Promise<FaultProxy> =>
  launchFaultProxy({ target: bucket.gateway.endpoint, seed, ...options });

/** A store behind a proxy that ends with it. */
async function faulty(options: Partial<FaultProxyOptions>, writer: string): Promise<ObjectStore> {
  const proxy = await proxyOf(options);
  const tls = proxy.endpoint.startsWith("https:");
  const store = bucket.open(
    { endpoint: proxy.endpoint, timeouts, ...(tls && { ca: bucket.gateway.ca }) },
    writer,
  );
  const dispose = store[Symbol.asyncDispose].bind(store);
  return Object.assign(store, {
    [Symbol.asyncDispose]: async () => {
      await dispose();
      await proxy[Symbol.asyncDispose]();
    },
  });
}

const mixed: Readonly<Partial<Record<Fault, number>>> = {
  cut: 0.08,
  truncate: 0.08,
  stall: 0.04,
  error: 0.08,
  slow: 0.05,
};

objectStoreContract({
  name: `s3 on a bad network (seed ${seed})`,
  open: (writer) => faulty({ faults: mixed, within: 6000 }, writer),
  largeSize: 11 << 20,
  timeout: 60_000,
});

objectStoreContract({
  name: `s3 over TLS on a bad network that changes bytes (seed ${seed})`,
  open: (writer) =>
    faulty(
      {
        target: bucket.gateway.tlsEndpoint,
        faults: { cut: 0.05, truncate: 0.05, stall: 0.02, corrupt: 0.1 },
        within: 20_000,
      },
      `tls-${writer}`,
    ),
  largeSize: 11 << 20,
  timeout: 60_000,
});

async function spooled(store: ObjectStore, bytes: Buffer): Promise<string> {
  const file = join(await store.spool(signal), `file-${randomBytes(6).toString("hex")}`);
  writeFileSync(file, bytes);
  return file;
}

test("no upload that was changed on its way counts as done", { timeout: 60_000 }, async () => {
  await using proxy = await proxyOf({ faults: { corrupt: 0.5 }, direction: "up", within: 2 << 20 });
  let stored = 0;
  for (let round = 0; round < 6; round += 1) {
    // New connections, and with them new faults.
    await using store = bucket.open({ endpoint: proxy.endpoint }, "changed");
    const bytes = randomBytes(7 << 20);
    const key = `changed/${createHash("sha256").update(bytes).digest("hex")}`;
    const done = await store.upload(key, await spooled(store, bytes), { size: bytes.length, signal }).then(
      () => true,
      (error: unknown) => {
        expect(isAeonError(error)).toBe(true);
        return false;
      },
    );
    if (!done) continue;
    stored += 1;
    await using direct = bucket.open({}, "direct");
    await using fetched = await direct.fetch(key, { size: bytes.length, signal });
    expect(readFileSync(fetched.path).equals(bytes)).toBe(true);
  }
  expect(proxy.happened.corrupt).toBeGreaterThan(0);
  expect(stored).toBeGreaterThan(0);
});

test(
  "an upload goes on after a restart without sending finished parts again",
  { timeout: 60_000 },
  async () => {
    await using proxy = await proxyOf();
    const part = 5 << 20;
    const bytes = randomBytes(8 * part + 1000);
    const options = {
      endpoint: proxy.endpoint,
      concurrency: 2,
      retry: { retries: 0, minDelayMs: 1, maxDelayMs: 1 },
    };
    const key = "resumed/blob";
    let file: string;
    let finished = 0;
    {
      await using store = bucket.open(options, "resumed");
      file = await spooled(store, bytes);
      const onProgress = (done: number): void => void (finished = done);
      const upload = store.upload(key, file, { size: bytes.length, signal, onProgress });
      await Promise.race([upload, proxy.sentAtLeast(5.5 * part)]);
      proxy.interrupt();
      await expect(upload).rejects.toMatchObject({ reason: "STORE_UNREACHABLE" });
      expect(await bucket.open({}, "direct").stat(key, signal)).toBeUndefined();
    }
    expect(finished).toBeGreaterThanOrEqual(3 * part);
    proxy.restore();
    const before = proxy.sent;
    await using store = bucket.open(options, "resumed");
    await store.upload(key, file, { size: bytes.length, signal });
    const again = proxy.sent - before;
    // At most what was not finished, and what its requests take around it.
    expect(again).toBeLessThan(bytes.length - finished + 100_000);
    expect(before + again).toBeGreaterThanOrEqual(bytes.length);
    expect(existsSync(file)).toBe(false);
    await using fetched = await store.fetch(key, { size: bytes.length, signal });
    expect(readFileSync(fetched.path).equals(bytes)).toBe(true);
  },
);

test("a silent server ends in a timeout, before and within an answer", { timeout: 30_000 }, async () => {
  for (const direction of ["up", "down"] as const) {
    await using proxy = await proxyOf({ faults: { stall: 1 }, direction, within: 1 });
    const retry = { retries: 1, minDelayMs: 1, maxDelayMs: 1 };
    await using store = bucket.open({ endpoint: proxy.endpoint, timeouts, retry }, "silent");
    const started = performance.now();
    await expect(store.stat("silent/a", signal)).rejects.toMatchObject({
      reason: "STORE_UNREACHABLE",
      message: expect.stringMatching(/nothing came or went for 1000 ms/),
    });
    expect(performance.now() - started).toBeLessThan(10_000);
    expect(proxy.happened.stall).toBe(2);
  }
});

test("a trickle ends with the time limit of the request", { timeout: 30_000 }, async () => {
  await using proxy = await proxyOf({ faults: { slow: 1 }, within: 1 });
  const limits = { connect: 1000, idle: 1000, total: 400 };
  const retry = { retries: 0, minDelayMs: 1, maxDelayMs: 1 };
  await using store = bucket.open({ endpoint: proxy.endpoint, timeouts: limits, retry }, "trickle");
  const bytes = randomBytes(30 << 20);
  const file = await spooled(store, bytes);
  await expect(store.upload("trickle/blob", file, { size: bytes.length, signal })).rejects.toMatchObject({
    reason: "STORE_UNREACHABLE",
  });
  expect(existsSync(file)).toBe(true);
});

test("a call ends at once when it is no longer wanted", async () => {
  await using proxy = await proxyOf({ faults: { stall: 1 }, within: 1 });
  await using store = bucket.open({ endpoint: proxy.endpoint }, "unwanted");
  const started = performance.now();
  await expect(store.stat("a", AbortSignal.timeout(100))).rejects.toMatchObject({ name: "TimeoutError" });
  expect(performance.now() - started).toBeLessThan(1000);
});

test("a store that was down takes everything once it is up again", { timeout: 60_000 }, async () => {
  const retry = { retries: 40, minDelayMs: 50, maxDelayMs: 200 };
  await using store = bucket.open({ retry, timeouts }, "outage");
  await store.ready(signal);
  await bucket.gateway.kill();
  const pending = Array.from({ length: 10 }, async (_, index) => {
    const bytes = randomBytes((index % 3) * (3 << 20) + 10);
    await store.upload(`outage/${index}`, await spooled(store, bytes), { size: bytes.length, signal });
    return bytes;
  });
  await expect(
    bucket.open({ retry: { retries: 1, minDelayMs: 1, maxDelayMs: 1 } }, "impatient").stat("a", signal),
  ).rejects.toMatchObject({ reason: "STORE_UNREACHABLE", code: "unavailable" });
  await bucket.gateway.start();
  for (const [index, bytes] of (await Promise.all(pending)).entries()) {
    await using fetched = await store.fetch(`outage/${index}`, { size: bytes.length, signal });
    expect(readFileSync(fetched.path).equals(bytes)).toBe(true);
  }
});
