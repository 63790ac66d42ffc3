import { existsSync, statSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { snapshots } from "@aeon/proto";
import { AeonError, defineErrors } from "@aeon/core";
import { afterEach, beforeEach, expect, test } from "vitest";
import { GrpcChannel } from "./channel.ts";
import { createGrpcClient } from "./client.ts";
import { served } from "./handlers.ts";
import { serveGrpc, type GrpcServer } from "./serve.ts";
import type { GrpcHandlers, ServedCall } from "./service-types.ts";

type Handlers = GrpcHandlers<typeof snapshots.Snapshots>;

const testErrors = defineErrors({
  KEY_MISSING: { code: "not-found", when: "in this test", remedy: "none" },
});

let folder: string;
let socket: string;
let resources: AsyncDisposableStack;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "aeon-grpc-"));
  socket = join(folder, "s.sock");
  resources = new AsyncDisposableStack();
});

afterEach(async () => {
  await resources.disposeAsync();
  await rm(folder, { recursive: true, force: true });
});

const unexpected = (): never => {
  throw new Error("unexpected call\nwith a second line");
};

const handlersWith = (handlers: Partial<Handlers>): Handlers => ({
  prepare: unexpected,
  view: unexpected,
  mounts: unexpected,
  commit: unexpected,
  remove: unexpected,
  stat: unexpected,
  update: unexpected,
  list: unexpected,
  usage: unexpected,
  cleanup: unexpected,
  ...handlers,
});

async function serve(handlers: Partial<Handlers>, drainMs?: number): Promise<GrpcServer> {
  const services = [served(snapshots.Snapshots, handlersWith(handlers))];
  return resources.use(await serveGrpc({ socket, services, ...(drainMs !== undefined && { drainMs }) }));
}

function client() {
  const channel = resources.use(new GrpcChannel({ address: socket }));
  return createGrpcClient(snapshots.Snapshots, channel, { namespace: "default" });
}

const failure = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => undefined,
    (error: unknown) => error,
  );

test("a call carries request, reply, namespace and lease", async () => {
  const seen: ServedCall[] = [];
  await serve({
    async usage(request, call) {
      seen.push(call);
      return { size: BigInt(request.key.length), inodes: 2n ** 53n + 1n };
    },
  });
  const reply = await client().usage({ key: "abc" }, { metadata: { lease: "l1" } });
  expect(reply).toMatchObject({ size: 3n, inodes: 2n ** 53n + 1n });
  expect(seen[0]?.caller).toEqual({ namespace: "default", lease: "l1" });
  expect(seen[0]?.method).toBe("/containerd.services.snapshots.v1.Snapshots/Usage");
});

test("messages up to 16 MiB pass both ways", async () => {
  await serve({
    async mounts(request) {
      return { mounts: [{ source: request.key }] };
    },
  });
  const key = "k".repeat(16 * 1024 * 1024 - 64);
  const reply = await client().mounts({ key });
  expect(reply.mounts[0]?.source.length).toBe(key.length);
  await expect(client().mounts({ key: key + "k".repeat(128) })).rejects.toMatchObject({
    code: "resource-exhausted",
  });
});

test("an AeonError keeps code and reason; anything else is internal, in one short line", async () => {
  await serve({
    async stat() {
      throw testErrors.KEY_MISSING(`snapshot ü${"x".repeat(5000)}\nis gone`);
    },
  });
  const missing = await failure(client().stat({ key: "x" }));
  expect(missing).toBeInstanceOf(AeonError);
  expect(missing).toMatchObject({ code: "not-found", reason: "KEY_MISSING", details: { grpcStatus: 5 } });
  expect(Buffer.byteLength((missing as AeonError).message)).toBeLessThan(1200);
  const broken = await failure(client().remove({ key: "x" }));
  expect(broken).toMatchObject({ code: "internal" });
  expect((broken as AeonError).message).toContain("unexpected call with a second line");
  expect((broken as AeonError).message).not.toContain("serve.test.ts");
});

test("a list streams with back-pressure and ends with its error", async () => {
  let made = 0;
  await serve({
    async *list(request) {
      for (; made < 500; made++) yield { info: [{ name: `${made}-${"y".repeat(10_000)}` }] };
      if (request.filters.length > 0) throw testErrors.KEY_MISSING("no more");
    },
  });
  const names: string[] = [];
  const stream = client().list({ filters: ["x"] });
  await expect(
    (async () => {
      for await (const reply of stream) names.push(...reply.info.map((info) => info.name));
    })(),
  ).rejects.toMatchObject({ code: "not-found", reason: "KEY_MISSING" });
  expect(names.length).toBe(500);
});

test("leaving a stream's loop ends the server's generator", async () => {
  const ended = Promise.withResolvers<void>();
  await serve({
    async *list(_request, { signal }) {
      try {
        for (let number = 0; !signal.aborted; number++) yield { info: [{ name: "z".repeat(1000) }] };
      } finally {
        ended.resolve();
      }
    },
  });
  for await (const reply of client().list({})) {
    expect(reply.info).toHaveLength(1);
    break;
  }
  await ended.promise;
});

test("aborting the signal cancels the call on both sides", async () => {
  const started = Promise.withResolvers<ServedCall>();
  const ended = Promise.withResolvers<void>();
  await serve({
    async mounts(_request, call) {
      started.resolve(call);
      call.signal.addEventListener("abort", () => ended.resolve());
      await ended.promise;
      return {};
    },
  });
  const abort = new AbortController();
  const call = failure(client().mounts({ key: "x" }, { signal: abort.signal }));
  await started.promise;
  abort.abort();
  expect(await call).toMatchObject({ code: "canceled", reason: "CANCELED" });
  await ended.promise;
  expect(await failure(client().mounts({ key: "x" }, { signal: abort.signal }))).toMatchObject({
    code: "canceled",
  });
});

test("a deadline ends the call on both sides, and so does a signal that times out", async () => {
  const started = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let [begun, aborted] = [0, 0];
  await serve({
    async mounts(_request, { signal }) {
      started[begun++]?.resolve();
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      aborted++;
      return {};
    },
  });
  const late = { code: "deadline-exceeded", reason: "DEADLINE_EXCEEDED" };
  expect(await failure(client().mounts({ key: "x" }, { deadline: 400 }))).toMatchObject(late);
  await started[0]?.promise;
  const abort = new AbortController();
  const call = failure(client().mounts({ key: "x" }, { signal: abort.signal }));
  await started[1]?.promise;
  abort.abort(new DOMException("too slow", "TimeoutError"));
  expect(await call).toMatchObject(late);
  await expect.poll(() => aborted).toBe(2);
});

test("the socket is private, appears when ready and goes on dispose", async () => {
  const server = await serve({});
  expect(statSync(socket).mode & 0o7777).toBe(0o600);
  await server[Symbol.asyncDispose]();
  expect(existsSync(socket)).toBe(false);
});

test("a live listener is not replaced, a left-over socket is, a file never", async () => {
  const server = await serve({});
  await expect(serve({})).rejects.toMatchObject({ code: "already-exists", reason: "SOCKET_IN_USE" });
  await server[Symbol.asyncDispose]();
  await leaveSocketBehind(socket);
  const second = await serve({ cleanup: async () => ({}) });
  await client().cleanup({});
  await second[Symbol.asyncDispose]();
  writeFileSync(socket, "precious");
  await expect(serve({})).rejects.toMatchObject({ reason: "SOCKET_PATH_INVALID" });
});

/** Binds in a child that is killed, as a crashed server does. */
async function leaveSocketBehind(path: string): Promise<void> {
  const { link, rename } = await import("node:fs/promises");
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(`${path}.live`, resolve));
  await link(`${path}.live`, `${path}.old`);
  await new Promise((resolve) => server.close(resolve));
  await rename(`${path}.old`, path);
}

test("a socket path that bind(2) would cut is refused", async () => {
  socket = join(folder, "x".repeat(100));
  await expect(serve({})).rejects.toMatchObject({ reason: "SOCKET_PATH_INVALID" });
});

test("calls under way finish on dispose, new ones find no socket", async () => {
  const started = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const server = await serve({
    async mounts() {
      started.resolve();
      await release.promise;
      return { mounts: [{ source: "done" }] };
    },
  });
  const call = client().mounts({ key: "x" });
  await started.promise;
  const closing = server[Symbol.asyncDispose]();
  expect(existsSync(socket)).toBe(false);
  release.resolve();
  expect((await call).mounts[0]?.source).toBe("done");
  await closing;
});

test("a call that does not finish in time is aborted", async () => {
  const started = Promise.withResolvers<void>();
  const aborted = Promise.withResolvers<void>();
  const server = await serve(
    {
      async mounts(_request, { signal }) {
        started.resolve();
        signal.addEventListener("abort", () => aborted.resolve());
        await aborted.promise;
        return {};
      },
    },
    30,
  );
  const call = failure(client().mounts({ key: "x" }));
  await started.promise;
  await server[Symbol.asyncDispose]();
  await aborted.promise;
  expect(await call).toBeInstanceOf(AeonError);
});

test("noise and half-open connections do not disturb other clients", async () => {
  await serve({ cleanup: async () => ({}) });
  const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  for (const bytes of [
    "GET / HTTP/1.1\r\n\r\n",
    Buffer.alloc(100_000, 0xff),
    preface,
    `${preface}${"\xff".repeat(99)}`,
  ]) {
    const peer = connect(socket);
    peer.on("error", () => {});
    await once(peer, "connect");
    peer.write(bytes);
    await client().cleanup({});
    peer.destroy();
    await client().cleanup({});
  }
  expect(await client().cleanup({})).toBeDefined();
});

test("no server: unavailable; a server that comes back is found by the first call", async () => {
  const api = client();
  const unavailable = { code: "unavailable", reason: "GRPC_UNAVAILABLE" };
  expect(await failure(api.cleanup({}))).toMatchObject(unavailable);
  const first = await serve({ cleanup: async () => ({}) });
  await api.cleanup({});
  await first[Symbol.asyncDispose]();
  expect(await failure(api.cleanup({}))).toMatchObject(unavailable);
  // Between two attempts to connect: the call waits for one that succeeds.
  const waiting = api.cleanup({});
  await serve({ cleanup: async () => ({}) });
  await waiting;
});

test("a call whose signal fires right after its start is canceled", async () => {
  await serve({ cleanup: () => new Promise(() => {}) });
  const abort = new AbortController();
  const call = failure(client().cleanup({}, { signal: abort.signal }));
  abort.abort();
  expect(await call).toMatchObject({ code: "canceled" });
});

test("the wait for a server that is gone ends with the signal and the deadline", async () => {
  const api = client();
  await failure(api.cleanup({}));
  const abort = new AbortController();
  const aborted = failure(api.cleanup({}, { signal: abort.signal }));
  abort.abort();
  expect(await aborted).toMatchObject({ code: "canceled" });
  expect(await failure(api.cleanup({}, { deadline: 30 }))).toMatchObject({ code: "deadline-exceeded" });
});
