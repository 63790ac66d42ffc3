import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AeonError, type CallContext, type Caller, type KeyRequest, type Snapshotter } from "@aeon/core";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { openOverlaySnapshotter, openRemoteSnapshotter, serveSnapshotter } from "../../src/index.ts";
import { callBy, key } from "../support/call.ts";
import { MemorySnapshotter } from "../support/memory-snapshotter.ts";
import { snapshotterContract } from "../support/snapshotter-contract.ts";

let folder = "";
let resources = new AsyncDisposableStack();
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "aeon-rs-"));
  resources = new AsyncDisposableStack();
});
afterEach(async () => {
  await resources.disposeAsync();
  await rm(folder, { recursive: true, force: true });
});

const socketPath = () => join(folder, "s.sock");
const remoteOf = async (snapshotter: Snapshotter) => {
  const server = resources.use(await serveSnapshotter({ snapshotter, socket: socketPath(), drainMs: 1000 }));
  const remote = resources.use(openRemoteSnapshotter({ address: socketPath(), name: "any" }));
  return { server, remote };
};

describe("aeon's own overlay behind a socket", () => {
  let remote: Snapshotter;
  beforeEach(async () => {
    const overlay = resources.use(await openOverlaySnapshotter({ root: join(folder, "root") }));
    ({ remote } = await remoteOf(overlay));
  });
  snapshotterContract(() => remote);
});

test("namespace and lease go along, and nothing is made up without them", async () => {
  const callers: Caller[] = [];
  const backend = new MemorySnapshotter();
  const stat = backend.stat.bind(backend);
  Object.assign(backend, {
    stat: (request: KeyRequest, { caller }: CallContext) => (callers.push(caller), stat(request)),
  });
  const { remote } = await remoteOf(backend);
  await remote.prepare({ key: key("a"), labels: {} }, callBy());
  await remote.stat({ key: key("a") }, callBy({ namespace: "k8s.io", lease: "l" }));
  await remote.stat({ key: key("a") }, callBy());
  expect(callers).toEqual([{ namespace: "k8s.io", lease: "l" }, {}]);
});

test("every code of the backend arrives, with its reason", async () => {
  const backend = new MemorySnapshotter();
  const { remote } = await remoteOf(backend);
  const codes = [
    "invalid-argument",
    "failed-precondition",
    "unavailable",
    "resource-exhausted",
    "data-loss",
  ] as const;
  for (const code of codes) {
    backend.mounts = async () => {
      throw new AeonError(code, "OWN_REASON", "own message");
    };
    await expect(remote.mounts({ key: key("a") }, callBy())).rejects.toMatchObject({
      code,
      reason: "OWN_REASON",
      message: expect.stringContaining("own message"),
    });
  }
});

test("canceling a call cancels it at the backend", async () => {
  const started = Promise.withResolvers<AbortSignal>();
  const backend = new MemorySnapshotter();
  Object.assign(backend, {
    mounts: (_: unknown, { signal }: CallContext) => (started.resolve(signal), new Promise(() => {})),
  });
  const { remote } = await remoteOf(backend);
  const stop = new AbortController();
  const mounts = remote.mounts({ key: key("a") }, { caller: {}, signal: stop.signal });
  const signal = await started.promise;
  stop.abort(new DOMException("too late", "TimeoutError"));
  await expect(mounts).rejects.toMatchObject({ code: "deadline-exceeded" });
  await vi.waitFor(() => expect(signal.aborted).toBe(true));
});

test("a list of many messages streams, and stops when the reader does", async () => {
  const backend = new MemorySnapshotter();
  for (let index = 0; index < 1050; index += 1) await backend.prepare({ key: key(`k${index}`), labels: {} });
  const { remote } = await remoteOf(backend);
  const infos = await Array.fromAsync(await remote.list({ filters: [] }, callBy()));
  expect(infos.map(({ name }) => name)).toEqual(Array.from({ length: 1050 }, (_, index) => `k${index}`));
  for await (const info of await remote.list({ filters: [] }, callBy())) {
    expect(info.name).toBe("k0");
    break;
  }
});

test("a backend without Cleanup is clean, other failures of it are told", async () => {
  const backend = new MemorySnapshotter();
  const { remote } = await remoteOf(backend);
  backend.cleanup = async () => {
    throw new AeonError("unimplemented", "X", "no cleanup");
  };
  await remote.cleanup({}, callBy());
  backend.cleanup = async () => {
    throw new AeonError("unavailable", "X", "disk is busy");
  };
  await expect(remote.cleanup({}, callBy())).rejects.toMatchObject({ code: "unavailable" });
});

test("without a server calls fail at once; they work again when it is back", async () => {
  const backend = new MemorySnapshotter();
  const { server, remote } = await remoteOf(backend);
  await remote.prepare({ key: key("a"), labels: {} }, callBy());
  await server[Symbol.asyncDispose]();
  const startedAt = performance.now();
  await expect(remote.stat({ key: key("a") }, callBy())).rejects.toMatchObject({ code: "unavailable" });
  expect(performance.now() - startedAt).toBeLessThan(1000);
  resources.use(await serveSnapshotter({ snapshotter: backend, socket: socketPath() }));
  const info = await vi.waitFor(() => remote.stat({ key: key("a") }, callBy()), {
    timeout: 5000,
    interval: 50,
  });
  expect(info.name).toBe("a");
});
