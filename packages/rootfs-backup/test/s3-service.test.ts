import { randomBytes } from "node:crypto";
import dns from "node:dns";
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { silentLogger } from "@aeon/core";
import { Client } from "minio";
import * as v from "valibot";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { ObjectStore } from "../src/objects/object-store.ts";
import { openS3 } from "../src/objects/s3/open-s3.ts";
import { s3Config } from "../src/objects/s3/s3-config.ts";
import { TokenBucket } from "../src/queue/token-bucket.ts";
import { launchBucket, type TestBucket } from "./s3.ts";

const { signal } = new AbortController();
const impatient = { retry: { retries: 1, minDelayMs: 1, maxDelayMs: 1 } };
let bucket: TestBucket;
beforeAll(async () => {
  bucket = await launchBucket();
});
afterAll(() => bucket[Symbol.asyncDispose]());

async function spooled(store: ObjectStore, bytes: Buffer): Promise<string> {
  const file = join(await store.spool(signal), `file-${randomBytes(6).toString("hex")}`);
  writeFileSync(file, bytes);
  return file;
}

/** The service as a foreign client sees it. */
function foreign(): Client {
  const { endpoint, accessKey, secretKey } = bucket.gateway;
  const { hostname, port } = new URL(endpoint);
  return new Client({ endPoint: hostname, port: Number(port), useSSL: false, accessKey, secretKey });
}

test("decides conditional writes, and warns of nothing", async () => {
  await using store = bucket.open();
  expect(await store.ready(signal)).toEqual({ compareAndSwap: true });
});

test("gives what a foreign client reads, under the prefix, and reads what it wrote", async () => {
  await using store = bucket.open({ prefix: "a/b" });
  await store.create("t/x", Buffer.from("ours"), signal);
  const stream = await foreign().getObject(bucket.bucket, "a/b/t/x");
  expect(Buffer.concat(await stream.toArray()).toString()).toBe("ours");
  await foreign().putObject(bucket.bucket, "a/b/t/y", "theirs");
  expect((await store.read("t/y", { signal }))?.bytes.toString()).toBe("theirs");
});

test("lists more than a page of objects and of folders", async () => {
  await using store = bucket.open();
  const keys = Array.from({ length: 640 }, (_, index) => `pages/${index % 320}/${index}`);
  await Promise.all(keys.map((key) => store.create(key, Buffer.from(key), signal)));
  const found: string[] = [];
  for await (const { key } of store.list("pages/", signal)) found.push(key);
  expect(found.toSorted()).toEqual(keys.toSorted());
  const folders: string[] = [];
  for await (const name of store.folders("pages/", signal)) folders.push(name);
  expect(folders).toHaveLength(320);
  expect(new Set(folders).size).toBe(320);
});

test("a missing bucket, refused credentials and an untrusted certificate are told apart", async () => {
  const wrong = { accessKey: bucket.gateway.accessKey, secretKey: "very-wrong-secret" };
  await using denied = bucket.open({ ...impatient, credentials: { current: async () => wrong } });
  await using missing = bucket.open({ ...impatient, bucket: "not-there" });
  await using untrusted = bucket.open({ ...impatient, endpoint: bucket.gateway.tlsEndpoint });
  const cases = [
    { store: denied, reason: "STORE_DENIED", text: /SignatureDoesNotMatch/ },
    { store: missing, reason: "STORE_UNUSABLE", text: /NoSuchBucket/ },
    { store: untrusted, reason: "STORE_UNUSABLE", text: /DEPTH_ZERO_SELF_SIGNED_CERT/ },
  ];
  for (const { store, reason, text } of cases) {
    const error: unknown = await store.ready(signal).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ reason, message: expect.stringMatching(text) });
    expect(`${JSON.stringify(error)}${String(error)}`).not.toContain(wrong.secretKey);
    await expect(store.read("t/x", { signal })).rejects.toMatchObject({ reason });
  }
});

const configOf = (changes: object = {}) =>
  v.parse(s3Config, {
    type: "s3",
    endpoint: bucket.gateway.endpoint,
    bucket: bucket.bucket,
    "credentials-file": join(bucket.folder, "credentials.json"),
    ...changes,
  });

const opened = (changes: object = {}): Promise<ObjectStore> =>
  openS3({
    config: configOf(changes),
    spool: join(bucket.folder, "configured"),
    environment: {},
    log: silentLogger,
  });

const putCredentials = (accessKey: string, secretKey: string): void =>
  writeFileSync(join(bucket.folder, "credentials.json"), JSON.stringify({ accessKey, secretKey }));

test("keys are changed while the store is in use", async () => {
  const { gateway } = bucket;
  await gateway.addKey("first-key", "first-secret-0123");
  putCredentials("first-key", "first-secret-0123");
  await using store = await opened();
  expect(await store.create("keys/1", Buffer.from("1"), signal)).toBe(true);
  await gateway.addKey("second-key", "second-secret-0123");
  await gateway.removeKey("first-key");
  putCredentials("second-key", "second-secret-0123");
  expect(await store.create("keys/2", Buffer.from("2"), signal)).toBe(true);
  expect((await store.read("keys/1", { signal }))?.bytes.toString()).toBe("1");
});

test("TLS with a certificate of one's own, and encryption by a key of the service", async () => {
  putCredentials(bucket.gateway.accessKey, bucket.gateway.secretKey);
  await using store = await opened({
    endpoint: bucket.gateway.tlsEndpoint,
    "ca-file": bucket.gateway.caFile,
    encryption: "sse-kms",
    "kms-key-id": "test-key",
    "part-size": "5MiB",
  });
  const bytes = randomBytes(12 << 20);
  await store.upload("encrypted/blob", await spooled(store, bytes), { size: bytes.length, signal });
  expect(await store.create("encrypted/small", Buffer.from("small"), signal)).toBe(true);
  for (const objectName of ["encrypted/blob", "encrypted/small"]) {
    const head = { method: "HEAD", bucketName: bucket.bucket, objectName };
    const { headers } = await foreign().makeRequestAsync(head);
    expect(headers["x-amz-server-side-encryption"]).toBe("aws:kms");
    expect(headers["x-amz-server-side-encryption-aws-kms-key-id"]).toBe("test-key");
  }
  await using fetched = await store.fetch("encrypted/blob", { size: bytes.length, signal });
  expect(readFileSync(fetched.path).equals(bytes)).toBe(true);
  expect((await store.read("encrypted/small", { signal }))?.bytes.toString()).toBe("small");
});

test("the bucket as a host name over TLS, with keys from a mounted Secret", async () => {
  // As kubelet mounts it: files are links through a folder that is exchanged whole.
  const secret = join(bucket.folder, "secret");
  const data = join(secret, "..2026");
  mkdirSync(data, { recursive: true });
  writeFileSync(join(data, "access-key"), `${bucket.gateway.accessKey}\n`);
  writeFileSync(join(data, "secret-key"), bucket.gateway.secretKey);
  symlinkSync("..2026", join(secret, "..data"));
  for (const name of ["access-key", "secret-key"]) symlinkSync(join("..data", name), join(secret, name));
  // Everything below localhost is this host (RFC 6761), but not every resolver knows.
  const asked = new Set<string>();
  const resolve = dns.lookup;
  using lookup = vi.spyOn(dns, "lookup").mockImplementation(((name: string, ...rest: [never, never]) => {
    asked.add(name);
    return resolve(name.endsWith(".localhost") ? "127.0.0.1" : name, ...rest);
  }) as typeof dns.lookup);
  const { port } = new URL(bucket.gateway.tlsEndpoint);
  await using store = await opened({
    endpoint: `https://s3.localhost:${port}`,
    "path-style": false,
    "credentials-file": secret,
    "ca-file": bucket.gateway.caFile,
    prefix: "by-host",
    "part-size": "5MiB",
  });
  const bytes = randomBytes(11 << 20);
  await store.upload("t/blob", await spooled(store, bytes), { size: bytes.length, signal });
  expect(await store.create("t/small", Buffer.from("small"), signal)).toBe(true);
  expect((await store.read("t/small", { signal }))?.bytes.toString()).toBe("small");
  await using fetched = await store.fetch("t/blob", { size: bytes.length, signal });
  expect(readFileSync(fetched.path).equals(bytes)).toBe(true);
  const keys = (await Array.fromAsync(store.list("t/", signal))).map(({ key }) => key);
  expect(keys.toSorted()).toEqual(["t/blob", "t/small"]);
  expect([...asked]).toEqual([`${bucket.bucket}.s3.localhost`]);
  expect(lookup).toHaveBeenCalled();
  const stream = await foreign().getObject(bucket.bucket, "by-host/t/small");
  expect(Buffer.concat(await stream.toArray()).toString()).toBe("small");
});

test("sweeps old uploads in parts of anybody below the prefix, and nothing else", async () => {
  const client = foreign();
  const begin = (key: string) => client.initiateNewMultipartUpload(bucket.bucket, key, {});
  await begin("swept/t/one");
  await begin("swept/t/one");
  await begin("elsewhere/t/one");
  await using store = bucket.open({ prefix: "swept" });
  const unfinished = async (prefix: string) =>
    (await client.listIncompleteUploads(bucket.bucket, prefix, true).toArray()).length;
  expect(await store.sweepUnfinished(3_600_000, signal)).toBe(0);
  expect(await unfinished("swept/")).toBe(2);
  const listed = await Array.fromAsync(store.unfinished(-60_000, signal));
  expect(listed.map(({ name }) => name)).toEqual(["swept/t/one", "swept/t/one"]);
  expect(await Array.fromAsync(store.unfinished(3_600_000, signal))).toEqual([]);
  expect(await store.sweepUnfinished(-60_000, signal)).toBe(2);
  expect(await unfinished("swept/")).toBe(0);
  expect(await unfinished("elsewhere/")).toBe(1);
});

test("an upload goes no faster than it may, and the file stays when it is to be kept", async () => {
  await using store = bucket.open({}, "paced");
  const bytes = randomBytes(11 << 20);
  const file = await spooled(store, bytes);
  const rate = 4 << 20;
  const startedAt = performance.now();
  const pace = new TokenBucket(rate).take;
  await store.upload("paced/blob", file, { size: bytes.length, signal, pace, keep: true });
  const seconds = (performance.now() - startedAt) / 1000;
  expect(seconds).toBeGreaterThan(bytes.length / rate - 0.5);
  expect(seconds).toBeLessThan(bytes.length / rate + 10);
  expect(readFileSync(file).equals(bytes)).toBe(true);
  await using fetched = await store.fetch("paced/blob", { size: bytes.length, signal });
  expect(readFileSync(fetched.path).equals(bytes)).toBe(true);
  const stop = new AbortController();
  const slow = store.upload("paced/slow", file, {
    size: bytes.length,
    signal: stop.signal,
    pace: new TokenBucket(1 << 18).take,
    keep: true,
  });
  setTimeout(() => stop.abort(new Error("enough")), 500);
  await expect(slow).rejects.toThrow("enough");
});

test("an upload whose parts the service lost is begun again", async () => {
  await using store = bucket.open({ ...impatient }, "lost");
  const bytes = randomBytes(11 << 20);
  const key = "lost/blob";
  const file = await spooled(store, bytes);
  const stop = new AbortController();
  const onProgress = (): void => stop.abort(new Error("enough"));
  await expect(
    store.upload(key, file, { size: bytes.length, signal: stop.signal, onProgress }),
  ).rejects.toThrow("enough");
  expect(readdirSync(join(await store.spool(signal), "uploads"))).toHaveLength(1);
  const client = foreign();
  await client.removeIncompleteUpload(bucket.bucket, key);
  await store.upload(key, file, { size: bytes.length, signal });
  expect((await store.stat(key, signal))?.size).toBe(bytes.length);
  expect(readdirSync(join(await store.spool(signal), "uploads"))).toEqual([]);
  expect(await client.listIncompleteUploads(bucket.bucket, key, true).toArray()).toEqual([]);
});

test("two writers store one object at a time, each with an upload of its own", async () => {
  const bytes = randomBytes(16 << 20);
  await Promise.all(
    ["one", "two", "three"].map(async (writer) => {
      await using store = bucket.open({}, `same-${writer}`);
      await store.upload("same/blob", await spooled(store, bytes), { size: bytes.length, signal });
    }),
  );
  await using store = bucket.open();
  await using fetched = await store.fetch("same/blob", { size: bytes.length, signal });
  expect(readFileSync(fetched.path).equals(bytes)).toBe(true);
});
