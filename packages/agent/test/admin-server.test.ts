import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtempDisposable, readdir, stat, writeFile } from "node:fs/promises";
import { request, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { silentLogger } from "@aeon/core";
import { admin, errorDetails } from "@aeon/proto";
import { Code, ConnectError, createClient, type Client, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { expect, test } from "vitest";
import { adminService, serveAdmin, type AdminDeps } from "../src/admin/index.ts";

/** An agent none of whose plugins has started yet. */
const nothingRuns = (folder: string): AdminDeps => ({
  version: "1.2.3",
  startedAt: new Date("2026-01-02T03:04:05Z"),
  root: join(folder, "root"),
  state: folder,
  plugins: () => [{ name: "snapshotter", state: "starting", restarts: 0, checks: [] }],
  sockets: () => [{ name: "admin", address: join(folder, "admin.sock") }],
  containerd: async () => ({ address: "/nowhere", connected: false, failure: "no such socket" }),
  snapshotter: () => undefined,
  containers: () => undefined,
  backups: () => undefined,
  dind: () => undefined,
  hooks: () => undefined,
});

interface Running extends AsyncDisposable {
  readonly folder: string;
  readonly path: string;
  stop(): Promise<void>;
}

async function startAdmin(): Promise<Running> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await mkdtempDisposable(join(tmpdir(), "aeon-admin-"))).path;
  const path = join(folder, "admin.sock");
  const server = stack.use(
    await serveAdmin({ path, service: adminService(nothingRuns(folder)), log: silentLogger }),
  );
  const owned = stack.move();
  return {
    folder,
    path,
    stop: async () => server[Symbol.asyncDispose](),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const nodeOptions = (path: string) => ({ createConnection: () => connect(path) });
const transports: Readonly<Record<string, (path: string) => Transport>> = {
  gRPC: (path) => createGrpcTransport({ baseUrl: "http://localhost", nodeOptions: nodeOptions(path) }),
  "Connect over HTTP/2": (path) =>
    createConnectTransport({ baseUrl: "http://localhost", httpVersion: "2", nodeOptions: nodeOptions(path) }),
  "Connect over HTTP/1.1": (path) =>
    createConnectTransport({
      baseUrl: "http://localhost",
      httpVersion: "1.1",
      nodeOptions: { socketPath: path },
    }),
};

const clientOf = (transport: Transport): Client<typeof admin.AdminService> =>
  createClient(admin.AdminService, transport);

const failureOf = async (work: Promise<unknown>): Promise<ConnectError> => {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ConnectError)) throw new Error("the call did not fail with a ConnectError");
  return error;
};

test.each(Object.keys(transports))("answers %s and says failures with reason and details", async (name) => {
  await using server = await startAdmin();
  const client = clientOf(transports[name]!(server.path));
  const status = await client.getStatus({});
  expect(status).toMatchObject({ version: "1.2.3", pid: process.pid, ready: false });
  expect(status.counts?.containers).toBeUndefined();
  expect(status.plugins[0]).toMatchObject({ name: "snapshotter", state: admin.PluginState.STARTING });

  const unary = await failureOf(client.listBackups({}));
  expect(unary.code).toBe(Code.Unavailable);
  const info = unary.findDetails(errorDetails.ErrorInfoSchema)[0];
  expect(info).toMatchObject({ reason: "ADMIN_PART_NOT_RUNNING", domain: "aeon" });
  expect(info?.metadata).toEqual({ part: "the backup service" });

  const stream = await failureOf(Array.fromAsync(client.listSnapshots({})));
  expect(stream.code).toBe(Code.Unavailable);
  expect(stream.findDetails(errorDetails.ErrorInfoSchema)[0]?.reason).toBe("ADMIN_PART_NOT_RUNNING");
});

const run = promisify(execFile);

/** One call of the admin API as plain JSON. */
async function postJson(socketPath: string, method: string, body: string): Promise<string> {
  const headers = { "content-type": "application/json" };
  const call = request({ socketPath, path: `/aeon.v1.AdminService/${method}`, method: "POST", headers });
  call.end(body);
  const [response]: IncomingMessage[] = await once(call, "response");
  return response === undefined ? "" : text(response);
}

test("answers plain JSON over HTTP/1.1, as curl speaks it", async () => {
  await using server = await startAdmin();
  const answer = await postJson(server.path, "ListContainers", "{}");
  expect(JSON.parse(answer)).toMatchObject({
    code: "unavailable",
    message: 'the container registry is not running; see "aeonctl status" for why',
    details: [{ type: "google.rpc.ErrorInfo" }],
  });
});

test("is open to its owner alone and leaves nothing behind", async () => {
  await using server = await startAdmin();
  expect((await stat(server.path)).mode & 0o777).toBe(0o600);
  expect(await readdir(server.folder)).toEqual(["admin.sock"]);
  await server.stop();
  expect(await readdir(server.folder)).toEqual([]);
});

test("stops at once although clients stay connected", async () => {
  await using server = await startAdmin();
  const client = clientOf(transports["gRPC"]!(server.path));
  await client.getStatus({});
  const silent = connect(server.path);
  await once(silent, "connect");
  const before = performance.now();
  await Promise.all([once(silent, "close"), server.stop()]);
  // The two seconds of grace are for calls in flight.
  expect(performance.now() - before).toBeLessThan(1500);
});

test("replaces the socket of an agent that was killed, and a plain file", async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), "aeon-admin-"));
  const path = join(folder.path, "admin.sock");
  const script = `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
  await expect(run(process.execPath, ["-e", script])).rejects.toMatchObject({ signal: "SIGKILL" });
  expect((await stat(path)).isSocket()).toBe(true);
  const options = { path, service: adminService(nothingRuns(folder.path)), log: silentLogger };
  {
    await using replacement = await serveAdmin(options);
    expect(replacement).toBeDefined();
    expect((await clientOf(transports["gRPC"]!(path)).getStatus({})).version).toBe("1.2.3");
  }
  await writeFile(path, "");
  await using replacement = await serveAdmin(options);
  expect(replacement).toBeDefined();
  expect((await clientOf(transports["gRPC"]!(path)).getStatus({})).version).toBe("1.2.3");
});

test("refuses a path on which another agent answers", async () => {
  await using server = await startAdmin();
  const second = serveAdmin({
    path: server.path,
    service: adminService(nothingRuns(server.folder)),
    log: silentLogger,
  });
  await expect(second).rejects.toMatchObject({ code: "failed-precondition", reason: "ADMIN_SOCKET_IN_USE" });
  expect((await clientOf(transports["gRPC"]!(server.path)).getStatus({})).version).toBe("1.2.3");
});

test("refuses requests above 1 MiB and malformed ones, and goes on", async () => {
  await using server = await startAdmin();
  const client = clientOf(transports["gRPC"]!(server.path));
  const large = await failureOf(Array.fromAsync(client.listSnapshots({ filters: ["x".repeat(1 << 20)] })));
  expect(large.code).toBe(Code.ResourceExhausted);
  const answer = await postJson(server.path, "GetStatus", "{nonsense");
  expect(JSON.parse(answer)).toMatchObject({ code: "invalid_argument" });
  expect((await client.getStatus({})).version).toBe("1.2.3");
});
