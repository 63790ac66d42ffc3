import { mkdtempDisposable, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger, snapshotKey, type CallContext, type Snapshotter } from "@aeon/core";
import { admin, errorDetails } from "@aeon/proto";
import { openOverlaySnapshotter } from "@aeon/snapshotter";
import { Code, ConnectError, createClient, type Client } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { expect, test } from "vitest";
import { adminService, serveAdmin } from "../src/admin/index.ts";

interface Running extends AsyncDisposable {
  readonly snapshotter: Snapshotter;
  readonly client: Client<typeof admin.AdminService>;
}

/** The admin API on a real overlay snapshotter alone. */
async function start(): Promise<Running> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await mkdtempDisposable(join(tmpdir(), "aeon-admin-"))).path;
  const snapshotter = stack.use(await openOverlaySnapshotter({ root: join(folder, "root") }));
  const path = join(folder, "admin.sock");
  const service = adminService({
    version: "0.0.0",
    startedAt: new Date(),
    root: folder,
    state: folder,
    plugins: () => [{ name: "snapshotter", state: "ready", restarts: 0, checks: [] }],
    sockets: () => [],
    containerd: async () => ({ address: "/nowhere", connected: false, failure: "no such socket" }),
    snapshotter: () => snapshotter,
    containers: () => undefined,
    backups: () => undefined,
    dind: () => undefined,
    hooks: () => undefined,
  });
  stack.use(await serveAdmin({ path, service, log: silentLogger }));
  const transport = createGrpcTransport({
    baseUrl: "http://localhost",
    nodeOptions: { createConnection: () => connect(path) },
  });
  const owned = stack.move();
  return {
    snapshotter,
    client: createClient(admin.AdminService, transport),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const context: CallContext = { caller: {}, signal: new AbortController().signal };
const base = snapshotKey("default/1/sha256:base");

async function makeSnapshots({ snapshotter }: Running, active: number): Promise<void> {
  const key = snapshotKey("default/1/extract base");
  const [mount] = await snapshotter.prepare({ key, labels: {} }, context);
  await writeFile(join(mount?.source ?? "", "file"), Buffer.alloc(8192, 1));
  await snapshotter.commit({ key, name: base, labels: {} }, context);
  const keys = Array.from({ length: active }, (_, index) => snapshotKey(`default/${index + 2}/c${index}`));
  await Promise.all(
    keys.map((name) => snapshotter.prepare({ key: name, parent: base, labels: {} }, context)),
  );
}

const namesOf = async (batches: AsyncIterable<admin.ListSnapshotsResponse>): Promise<string[]> =>
  (await Array.fromAsync(batches)).flatMap(({ snapshots }) => snapshots.map(({ name }) => name));

const failureOf = (work: Promise<unknown>): Promise<ConnectError> =>
  work.then(
    () => Promise.reject(new Error("the call did not fail")),
    (error: unknown) => ConnectError.from(error),
  );

const reasonOf = (error: ConnectError): string | undefined =>
  error.findDetails(errorDetails.ErrorInfoSchema)[0]?.reason;

test("lists every snapshot in batches, and those that a filter chooses", async () => {
  await using server = await start();
  await makeSnapshots(server, 250);
  const batches = await Array.fromAsync(server.client.listSnapshots({}));
  expect(batches.map(({ snapshots }) => snapshots.length)).toEqual([100, 100, 51]);
  const names = batches.flatMap(({ snapshots }) => snapshots.map(({ name }) => name));
  expect(new Set(names).size).toBe(251);
  const committed = await Array.fromAsync(server.client.listSnapshots({ filters: ["kind==committed"] }));
  expect(committed.flatMap(({ snapshots }) => snapshots)).toMatchObject([
    { name: base, parent: "", kind: admin.SnapshotKind.COMMITTED },
  ]);
  expect(await namesOf(server.client.listSnapshots({ filters: ["name==default/7/c5"] }))).toEqual([
    "default/7/c5",
  ]);
  expect((await server.client.getStatus({})).counts).toMatchObject({
    views: 0n,
    active: 250n,
    committed: 1n,
  });
});

test("refuses a filter that makes no sense with the snapshotter's reason", async () => {
  await using server = await start();
  const failure = await failureOf(namesOf(server.client.listSnapshots({ filters: ["kind=="] })));
  expect(failure.code).toBe(Code.InvalidArgument);
  expect(reasonOf(failure)).toBe("SNAPSHOT_FILTER_INVALID");
});

test("measures named snapshots and all of them", async () => {
  await using server = await start();
  await makeSnapshots(server, 2);
  const named = await Array.fromAsync(server.client.listSnapshotUsage({ names: [base] }));
  expect(named).toMatchObject([{ name: base, inodes: 2n }]);
  expect(named[0]?.size).toBeGreaterThanOrEqual(8192n);
  const all = await Array.fromAsync(server.client.listSnapshotUsage({}));
  expect(all.map(({ name }) => name).toSorted()).toEqual([base, "default/2/c0", "default/3/c1"].toSorted());
});

test("says which snapshot does not exist, and refuses names that cannot be", async () => {
  await using server = await start();
  const missing = await failureOf(Array.fromAsync(server.client.listSnapshotUsage({ names: ["nobody"] })));
  expect(missing.code).toBe(Code.NotFound);
  expect(missing.rawMessage).toContain("nobody");
  expect(reasonOf(missing)).toBe("SNAPSHOT_NOT_FOUND");
  for (const name of ["", "a\0b", "x".repeat(4097)]) {
    const invalid = await failureOf(Array.fromAsync(server.client.listSnapshotUsage({ names: [name] })));
    expect(invalid.code).toBe(Code.InvalidArgument);
    expect(reasonOf(invalid)).toBe("ADMIN_FIELD_INVALID");
  }
  const longest = await failureOf(
    Array.fromAsync(server.client.listSnapshotUsage({ names: ["x".repeat(4096)] })),
  );
  expect(longest.code).toBe(Code.NotFound);
});
