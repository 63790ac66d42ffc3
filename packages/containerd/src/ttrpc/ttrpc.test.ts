import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AeonError } from "@aeon/core";
import { Plugin } from "@aeon/proto/nri";
import fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { TtrpcConnection, type TtrpcRouter } from "./connection.ts";
import { encodeFrame, FrameReader, largestData } from "./frame.ts";
import { Mux } from "./mux.ts";
import { callTtrpc, ttrpcRouter } from "./service.ts";

const resources: (() => void)[] = [];
afterEach(() => {
  for (const release of resources.splice(0)) release();
});

/** Both ends of a Unix socket. */
async function pair(): Promise<[Socket, Socket]> {
  const folder = mkdtempSync(join(tmpdir(), "aeon-ttrpc-"));
  const { promise, resolve } = Promise.withResolvers<Socket>();
  const server = createServer(resolve).listen(join(folder, "s"));
  const client = connect(join(folder, "s"));
  const served = await promise;
  server.close();
  resources.push(() => {
    client.destroy();
    served.destroy();
    rmSync(folder, { recursive: true });
  });
  return [client, served];
}

async function connected(router: TtrpcRouter) {
  const [left, right] = await pair();
  const client = new TtrpcConnection(new Mux(left).channel(1));
  const server = new TtrpcConnection(new Mux(right).channel(1), router);
  return { client, server, left, right };
}

const echo: TtrpcRouter = (_service, method) => (method === "Echo" ? async (payload) => payload : undefined);

test("frames survive being cut anywhere", () => {
  const frame = fc.record({
    id: fc.nat(),
    type: fc.integer({ min: 1, max: 3 }),
    data: fc.uint8Array({ maxLength: 50 }),
  });
  fc.assert(
    fc.property(
      fc.array(frame),
      fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1 }),
      (frames, cuts) => {
        const bytes = Buffer.concat(frames.map(({ id, type, data }) => encodeFrame(id, type, data)));
        const reader = new FrameReader();
        const seen = [];
        let at = 0;
        for (let index = 0; at < bytes.length; index += 1) {
          const length = cuts[index % cuts.length] ?? 1;
          seen.push(...reader.push(bytes.subarray(at, at + length)));
          at += length;
        }
        expect(
          seen.map(({ streamId, type, data }) => ({ id: streamId, type, data: [...(data ?? [])] })),
        ).toEqual(frames.map(({ id, type, data }) => ({ id, type, data: [...data] })));
      },
    ),
  );
});

test("data above the limit is skipped and the next frame is read", () => {
  const reader = new FrameReader();
  const header = Buffer.from([0, 0x40, 0, 1, 0, 0, 0, 9, 1, 0]);
  expect(reader.push(Buffer.concat([header, Buffer.alloc(100)]))).toMatchObject([
    { streamId: 9, data: undefined },
  ]);
  expect(reader.push(Buffer.alloc(largestData - 99))).toEqual([]);
  expect(reader.push(encodeFrame(11, 1, Buffer.from("x")))).toMatchObject([
    { streamId: 11, data: Buffer.from("x") },
  ]);
});

test("calls of every size and many at once come back right, in frames that a runtime can take", async () => {
  const { client, right } = await connected(echo);
  const lengths: number[] = [];
  let rest = Buffer.alloc(0);
  right.on("data", (bytes: Buffer) => {
    rest = Buffer.concat([rest, bytes]);
    while (rest.length >= 8 && rest.length >= 8 + rest.readUInt32BE(4)) {
      lengths.push(rest.readUInt32BE(4));
      rest = rest.subarray(8 + rest.readUInt32BE(4));
    }
  });
  const sizes = [0, 1, 4000, 4096, 5000, 70_000, 4_000_000];
  const replies = await Promise.all(
    sizes.map((size) => client.call("s", "Echo", Buffer.alloc(size, size % 251))),
  );
  expect(replies.map(({ length }) => length)).toEqual(sizes);
  for (const [index, reply] of replies.entries())
    expect(reply.every((byte) => byte === (sizes[index] ?? 0) % 251)).toBe(true);
  expect(Math.max(...lengths)).toBe(65_536);
  // A runtime queues 256 of them.
  expect(lengths.length).toBeLessThan(200);
});

test("what is too large, unknown or failing is answered as such, and the connection goes on", async () => {
  const { client } = await connected((service, method) =>
    method === "Fail"
      ? () => Promise.reject(new AeonError("permission-denied", "NO", "not you"))
      : method === "Large"
        ? async () => Buffer.alloc(largestData)
        : echo(service, method),
  );
  await expect(client.call("s", "Nope", Buffer.alloc(0))).rejects.toMatchObject({ code: "unimplemented" });
  await expect(client.call("s", "Fail", Buffer.alloc(0))).rejects.toMatchObject({
    code: "permission-denied",
    message: "s/Fail: not you",
  });
  await expect(client.call("s", "Large", Buffer.alloc(0))).rejects.toMatchObject({
    code: "resource-exhausted",
  });
  await expect(client.call("s", "Echo", Buffer.alloc(largestData))).rejects.toMatchObject({
    reason: "TTRPC_MESSAGE_TOO_LARGE",
  });
  expect(Buffer.from(await client.call("s", "Echo", Buffer.from("still"))).toString()).toBe("still");
});

test("a call ends by time, by its signal and with the connection; the server is told", async () => {
  const seen: unknown[] = [];
  const { client, right } = await connected((_service, method) => (_payload, { signal, metadata }) => {
    seen.push(metadata.get("k"));
    const { promise } = Promise.withResolvers<Uint8Array>();
    signal.addEventListener("abort", () => seen.push(`${method} aborted`));
    return promise;
  });
  await expect(
    client.call("s", "Slow", Buffer.alloc(0), { timeoutMs: 30, metadata: { k: "v" } }),
  ).rejects.toMatchObject({ code: "deadline-exceeded" });
  await expect.poll(() => seen).toEqual(["v", "Slow aborted"]);
  const canceled = client.call("s", "Other", Buffer.alloc(0), { signal: AbortSignal.timeout(10) });
  await expect(canceled).rejects.toMatchObject({ code: "deadline-exceeded" });
  const cut = client.call("s", "Cut", Buffer.alloc(0));
  right.destroy();
  await expect(cut).rejects.toMatchObject({ reason: "CONNECTION_CLOSED" });
  await expect(client.call("s", "Late", Buffer.alloc(0))).rejects.toMatchObject({
    reason: "CONNECTION_CLOSED",
  });
});

test("typed services: methods that have no handler are unknown", async () => {
  const { client } = await connected(
    ttrpcRouter(Plugin, { configure: async ({ config }) => ({ events: config.length }) }),
  );
  expect(await callTtrpc(client, Plugin.method.configure, { config: "four" })).toMatchObject({ events: 4 });
  await expect(callTtrpc(client, Plugin.method.shutdown, {})).rejects.toMatchObject({
    code: "unimplemented",
  });
});

test("a peer that announces more than the limit is cut off", async () => {
  const { left, right } = await connected(echo);
  const closed = new Promise((resolve) => left.on("close", resolve));
  right.write(Buffer.from([0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff]));
  await expect(closed).resolves.toBeDefined();
});
