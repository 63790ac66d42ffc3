import { type GrpcChannel } from "@aeon/containerd";
import { expect, test } from "vitest";
import { serve, start, testFolder } from "./harness.ts";
import type { Snapshotter } from "@aeon/core";

const asIs = (value: Buffer): Buffer => value;

/** Sends bytes as a request; answers the status. */
function send(
  channel: GrpcChannel,
  method: string,
  bytes: Buffer,
): Promise<{ code: number; details: string }> {
  const path = `/containerd.services.snapshots.v1.Snapshots/${method}`;
  return new Promise((resolve) => {
    channel.raw.makeUnaryRequest(path, asIs, asIs, bytes, (error) =>
      resolve(error === null ? { code: 0, details: "" } : { code: error.code, details: error.details }),
    );
  });
}

const text = (field: number, bytes: Buffer): Buffer =>
  Buffer.concat([Buffer.from([(field << 3) | 2, bytes.length]), bytes]);

test("bytes that are no request are refused as such, and the server goes on", async () => {
  const { channel, client } = await start();
  const refused = { code: 3 };
  for (const bytes of [
    text(2, Buffer.from([0xff, 0xfe])),
    text(2, Buffer.from([0xed, 0xa0, 0x80])),
    Buffer.from([0x12, 200, 1, 1]),
    Buffer.from([0xff, 0xff, 0xff, 0xff]),
    Buffer.from([0x13]),
    Buffer.alloc(0),
  ])
    for (const method of ["Stat", "Prepare", "Commit", "Remove", "Mounts", "Usage", "Update", "View"])
      expect(await send(channel, method, bytes)).toMatchObject(refused);
  const badLabel = text(4, Buffer.concat([text(1, Buffer.from("a")), text(2, Buffer.from([0xc0, 0x80]))]));
  expect(await send(channel, "Prepare", Buffer.concat([text(2, Buffer.from("k")), badLabel]))).toMatchObject(
    refused,
  );
  expect(await send(channel, "Nothing", Buffer.alloc(0))).toMatchObject({ code: 12 });
  await client.prepare({ key: "fine" });
});

test.each([
  ["", /empty/],
  ["a\0b", /NUL/],
  ["x".repeat(10_240), /longer/],
  ["é".repeat(2049), /longer/],
])("name %j is refused", async (name, problem) => {
  const { client } = await start();
  const refused = { code: "invalid-argument", message: expect.stringMatching(problem) };
  await client.prepare({ key: "a" });
  await expect(client.prepare({ key: name })).rejects.toMatchObject(refused);
  await expect(client.commit({ key: "a", name })).rejects.toMatchObject(refused);
  await expect(client.update({ info: { name } })).rejects.toMatchObject(refused);
  await expect(client.view({ key: name, parent: name })).rejects.toMatchObject(refused);
});

test.each([
  "../../../etc/passwd",
  "/abs/path",
  "a b c",
  ".",
  "'; DROP TABLE snapshots; --",
  "日本/ü",
  "__proto__",
])("name %j is only a name", async (name) => {
  const { client, root } = await start();
  const { mounts } = await client.prepare({ key: name, labels: { [name]: "v", constructor: "x" } });
  expect(mounts[0]?.source).toBe(`${root}/snapshots/1/fs`);
  const { info } = await client.stat({ key: name });
  expect(info?.name).toBe(name);
  expect(info?.labels["constructor"]).toBe("x");
  await client.commit({ key: name, name: `${name}!` });
  await client.remove({ key: `${name}!` });
});

test("oversized labels are refused", async () => {
  const { client } = await start();
  const refused = { code: "invalid-argument" };
  await expect(client.prepare({ key: "a", labels: { a: "x".repeat(4096) } })).rejects.toMatchObject(refused);
  await expect(client.prepare({ key: "a", labels: { "": "x" } })).rejects.toMatchObject(refused);
  await expect(client.prepare({ key: "a", labels: { a: "\0" } })).rejects.toMatchObject(refused);
  const many = Object.fromEntries(Array.from({ length: 1025 }, (_, index) => [`l${index}`, "x"]));
  await expect(client.prepare({ key: "a", labels: many })).rejects.toMatchObject(refused);
  await client.prepare({ key: "a", labels: { a: "x".repeat(4095) } });
});

const errno = (code: string) => Object.assign(new Error(`${code}: something`), { code });

test("failures that no snapshotter judged never look like missing or existing snapshots", async () => {
  const { snapshotter } = await start();
  const failing = (error: unknown): Snapshotter => ({
    ...delegate(snapshotter),
    async prepare() {
      throw error;
    },
    mounts: () => {
      throw error;
    },
  });
  for (const [thrown, code] of [
    [errno("ENOENT"), "internal"],
    [errno("EEXIST"), "internal"],
    [errno("ENOSPC"), "resource-exhausted"],
    [errno("ECONNREFUSED"), "unavailable"],
    [new TypeError("bug"), "internal"],
    ["just text", "internal"],
  ] as const) {
    const { client } = await serve(failing(thrown), await testFolder());
    await expect(client.prepare({ key: "a" })).rejects.toMatchObject({ code });
    await expect(client.mounts({ key: "a" })).rejects.toMatchObject({ code });
  }
});

function delegate(backend: Snapshotter): Snapshotter {
  return {
    prepare: (request, context) => backend.prepare(request, context),
    view: (request, context) => backend.view(request, context),
    mounts: (request, context) => backend.mounts(request, context),
    commit: (request, context) => backend.commit(request, context),
    remove: (request, context) => backend.remove(request, context),
    stat: (request, context) => backend.stat(request, context),
    update: (request, context) => backend.update(request, context),
    list: (request, context) => backend.list(request, context),
    usage: (request, context) => backend.usage(request, context),
    cleanup: (request, context) => backend.cleanup(request, context),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
