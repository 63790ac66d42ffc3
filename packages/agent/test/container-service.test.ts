import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { containerService } from "@aeon/proto";
import { createRegistry } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { connect } from "node:net";
import { debianFile } from "@aeon/testkit";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import {
  startAgentProcess,
  writeConfig,
  type AgentFolders,
  type AgentProcess,
} from "./support/agent-process.ts";
import { bundleAgent, startPodNode, startSleeper, type PodNode, type Sleeper } from "./support/pod-node.ts";

const bind = (source: string, destination: string) => ({
  type: "bind",
  source,
  destination,
  options: ["rbind", "ro"],
});
const socketName = "container-service.sock";
const optedIn = { "aeon.io/container-service": "true", "backup.container.io/enabled": "true" };

/** Ends of agents, which live longer than one test. */
const ends: (() => Promise<void>)[] = [];
let bundle: string;
let node: PodNode;
let folders: AgentFolders;
let agent: AgentProcess;

const startAgent = async (): Promise<AgentProcess> => {
  const started = startAgentProcess(folders, {}, [join(bundle, "aeon.js")], (end) => ends.push(end));
  await started.ready();
  return started;
};

beforeAll(async () => {
  bundle = mkdtempSync(join(tmpdir(), "aeon-bundle-"));
  await bundleAgent(bundle);
  node = await startPodNode();
  const { folder } = node;
  folders = {
    folder,
    root: join(folder, "root"),
    state: join(folder, "run"),
    config: join(folder, "config.toml"),
    snapshotter: join(folder, "run/snapshotter.sock"),
  };
  writeConfig(folders, { containerd: { address: node.containerd.address, namespaces: ["*"] } });
  agent = await startAgent();
  // The first container that wants them has the programs made.
  const first = await startSleeper(node, "first", { labels: optedIn }, served("first"));
  await vi.waitUntil(madeTools, { timeout: 60_000 });
  await first[Symbol.asyncDispose]();
}, 300_000);

afterAll(async () => {
  for (const end of ends) await end();
  await node?.[Symbol.asyncDispose]();
  rmSync(bundle, { recursive: true, force: true });
});

const pods = (): string => join(folders.state, "pods");
const folderOf = (id: string): string => join(pods(), `default~${id}`);
const toolsParent = (): string => join(folders.root, "container-service/tools");
const madeTools = (): string | undefined =>
  existsSync(toolsParent()) ? readdirSync(toolsParent()).find((name) => !name.startsWith(".")) : undefined;
const tools = (): string => join(toolsParent(), madeTools() ?? "");
const served = (id: string) => async () => {
  await vi.waitUntil(() => existsSync(join(folderOf(id), socketName)), { timeout: 30_000 });
};

const start = (
  id: string,
  mounts: readonly ReturnType<typeof bind>[] = [],
  env: readonly string[] = [],
): Promise<Sleeper> =>
  startSleeper(
    node,
    id,
    {
      labels: optedIn,
      env,
      mounts: [bind(folderOf(id), "/run/aeon/container"), bind(tools(), "/run/aeon/bin"), ...mounts],
    },
    served(id),
  );

const aeonctl = "/run/aeon/bin/aeonctl";

test("a container asks the agent about itself, makes backups, and its socket goes with it", async () => {
  const web = await start("web");
  const socket = join(folderOf("web"), socketName);
  expect(statSync(pods()).mode & 0o777).toBe(0o700);
  expect(statSync(folderOf("web")).mode & 0o777).toBe(0o755);
  const info = await web.run([aeonctl, "info", "-o", "json"]);
  expect(info).toMatchObject({ code: 0, stderr: "" });
  expect(JSON.parse(info.stdout)).toMatchObject({
    "@type": "type.googleapis.com/aeon.v1.Info",
    containers: [{ id: "web", state: "ready" }],
    authenticatedBy: "socket",
    container: "web",
  });
  // Any user of the container may ask.
  expect(await web.run([aeonctl, "info"], { uid: 1000, gid: 1000 })).toMatchObject({ code: 0 });

  await web.run(["sh", "-c", "echo kept > /root/note"]);
  const made = await web.run([aeonctl, "backup", "create", "--wait", "-o", "json"]);
  expect(made).toMatchObject({ code: 0, stderr: "" });
  const { backup } = JSON.parse(made.stdout) as { backup: { id: string; state: string; container: string } };
  expect(backup).toMatchObject({ state: "stored", container: "web" });

  // Another container neither sees the backup nor can use it.
  const other = await start("other");
  expect(JSON.parse((await other.run([aeonctl, "backup", "ls", "-o", "json"])).stdout)).not.toHaveProperty(
    "backups",
  );
  expect((await web.run([aeonctl, "backup", "ls"])).stdout).toContain(backup.id);
  expect(await other.run([aeonctl, "backup", "restore", backup.id])).toMatchObject({
    code: 3,
    stderr: expect.stringContaining("BACKUP_NOT_FOUND"),
  });
  expect(await other.run([aeonctl, "backup", "create", "--container", "web"])).toMatchObject({
    code: 3,
    stderr: expect.stringContaining("has no container web"),
  });
  expect((await web.run([aeonctl, "status"])).stdout).toMatch(/web +ready +1 /);

  // Each call left a line.
  const line = await agent.line(
    ({ msg, service, code }) =>
      msg === "container service call" && service === "backup" && code === "not-found",
  );
  expect(line).toMatchObject({
    audit: true,
    folder: "default~other",
    action: "restore",
    reason: "BACKUP_NOT_FOUND",
    containerId: "other",
  });

  expect(existsSync(socket)).toBe(true);
  await web[Symbol.asyncDispose]();
  await expect.poll(() => existsSync(folderOf("web")), { timeout: 30_000 }).toBe(false);
  await other[Symbol.asyncDispose]();
  await expect.poll(() => readdirSync(pods()), { timeout: 30_000 }).toEqual([]);
});

test("gRPC and curl speak to the same socket; unknown services and wrong parameters are refused", async () => {
  await using web = await start("curl");
  const socket = join(folderOf(web.id), socketName);
  const curl = async (body: unknown) =>
    JSON.parse(
      (
        await promisify(execFile)("curl", [
          "--silent",
          "--unix-socket",
          socket,
          "--json",
          JSON.stringify(body),
          "http://localhost/aeon.v1.ContainerService/ServiceCall",
        ])
      ).stdout,
    ) as Record<string, unknown>;
  expect(await curl({ service: "info", action: "show" })).toMatchObject({
    "@type": "type.googleapis.com/aeon.v1.Info",
  });
  expect(await curl({ service: "nope", action: "show" })).toMatchObject({
    code: "not_found",
    message: 'there is no service "nope"; there are backup, docker, info',
  });
  expect(await curl({ service: "info", action: "constructor" })).toMatchObject({ code: "not_found" });
  expect(await curl({ service: "backup", action: "create", params: { wait: "maybe", x: 1 } })).toMatchObject({
    code: "invalid_argument",
  });
  expect(await curl({ service: "backup", action: "list", params: { container: "\0" } })).toMatchObject({
    code: "invalid_argument",
  });

  const client = createClient(
    containerService.ContainerService,
    createGrpcTransport({
      baseUrl: "http://localhost",
      nodeOptions: { createConnection: () => connect(socket) },
    }),
  );
  const any = await client.serviceCall({ service: "info", action: "show" });
  const info = anyUnpack(any, createRegistry(containerService.InfoSchema));
  expect(info).toMatchObject({
    authenticatedBy: "socket",
    services: [{ name: "backup" }, { name: "docker" }, { name: "info" }],
  });
  const phases: string[] = [];
  for await (const { message } of client.serviceStream({
    service: "backup",
    action: "create",
    params: { wait: true },
  }))
    phases.push(message.case === "progress" ? message.value.phase : (message.case ?? ""));
  expect(phases).toContain("stored");
  expect(phases.at(-1)).toBe("result");
  await expect(
    client.serviceCall({ service: "info", action: "show", params: { x: "y".repeat(70_000) } }),
  ).rejects.toThrow(/resource_exhausted|too large/);
});

test("calls over the limit are refused with what to wait for, and each leaves a line for audit", async () => {
  await using web = await start("often");
  const socket = join(folderOf(web.id), socketName);
  const client = createClient(
    containerService.ContainerService,
    createGrpcTransport({
      baseUrl: "http://localhost",
      nodeOptions: { createConnection: () => connect(socket) },
    }),
  );
  const asked = 80;
  const before = agent.lines.length;
  const calls = await Promise.allSettled(
    Array.from({ length: asked }, () => client.serviceCall({ service: "info", action: "show" })),
  );
  const refused = calls.flatMap((call) => (call.status === "rejected" ? [String(call.reason)] : []));
  expect(refused.length).toBeGreaterThan(0);
  expect(refused.length).toBeLessThan(asked);
  for (const reason of refused) expect(reason).toMatch(/resource_exhausted.*(calls too often|calls running)/);
  const audited = () =>
    agent.lines
      .slice(before)
      .filter((line) => line["audit"] === true && line["folder"] === `default~${web.id}`);
  await vi.waitFor(() => expect(audited()).toHaveLength(asked), { timeout: 10_000 });
  expect(audited().filter(({ code }) => code === "resource-exhausted")).toHaveLength(refused.length);
});

test("connections over the limit are closed at once, and those below go on", async () => {
  await using web = await start("crowd");
  const socket = join(folderOf(web.id), socketName);
  const limit = 32;
  const closed: number[] = [];
  const sockets = Array.from({ length: limit + 8 }, (_, index) =>
    connect(socket)
      .on("close", () => void closed.push(index))
      .on("error", () => undefined),
  );
  try {
    await vi.waitFor(() => expect(closed).toHaveLength(8), { timeout: 10_000 });
    expect((await web.run([aeonctl, "info"])).code).not.toBe(0);
    expect(closed).toHaveLength(8);
    const kept = sockets.find((_, index) => !closed.includes(index));
    kept?.destroy();
    await expect.poll(async () => (await web.run([aeonctl, "info"])).code, { timeout: 10_000 }).toBe(0);
  } finally {
    for (const each of sockets) each.destroy();
  }
});

test("the programs need nothing of an image: empty, musl, another glibc, hostile variables", async () => {
  const musl = await debianFile("musl", "lib/x86_64-linux-musl");
  const glibc = await debianFile("libc6", "lib/x86_64-linux-gnu");
  const cases: Record<string, readonly ReturnType<typeof bind>[]> = {
    busybox: [],
    musl: [bind(musl, "/lib/x86_64-linux-musl"), bind(join(musl, "libc.so"), "/lib/ld-musl-x86_64.so.1")],
    glibc: [
      bind(glibc, "/lib/x86_64-linux-gnu"),
      bind(join(glibc, "ld-linux-x86-64.so.2"), "/lib64/ld-linux-x86-64.so.2"),
    ],
  };
  const env = ["NODE_OPTIONS=--require /nothing", "LD_PRELOAD=/lib/nothing.so", "LD_LIBRARY_PATH=/lib"];
  for (const [name, mounts] of Object.entries(cases)) {
    await using container = await start(`image-${name}`, mounts, env);
    expect(await container.run([aeonctl, "info"])).toMatchObject({ code: 0, stderr: "" });
    expect(await container.run(["/run/aeon/bin/dockerctl", "status"])).toMatchObject({
      code: 3,
      stderr: expect.stringContaining("has no DinD container"),
    });
    expect(await container.run([aeonctl, "--bogus"])).toMatchObject({ code: 2 });
  }
});

test("nothing but the kernel is needed: a container whose whole program is aeonctl, its image out of sight", async () => {
  const id = "image-empty";
  const covered = ["/bin", "/etc", "/usr", "/lib", "/lib64", "/sbin"].map((destination) => ({
    type: "tmpfs",
    source: "tmpfs",
    destination,
    options: ["ro"],
  }));
  const container = await node.client.createContainer(id, {
    image: node.image,
    snapshotter: "aeon",
    labels: optedIn,
    args: [aeonctl, "info"],
    mounts: [...covered, bind(folderOf(id), "/run/aeon/container"), bind(tools(), "/run/aeon/bin")],
  });
  await served(id)();
  const task = await container.newTask({ stdout: "pipe", stderr: "pipe" });
  const output = text(task.stdout!);
  const failures = text(task.stderr!);
  await task.start();
  const { code } = await task.wait();
  expect({ code, failures: await failures }).toEqual({ code: 0, failures: "" });
  expect(await output).toContain("known by   socket");
  await task.delete();
  await container.delete();
});

test("it starts in 150 ms of processor time", async () => {
  await using web = await start("quick");
  const times: number[] = [];
  for (let round = 0; round < 8; round += 1) {
    const ran = await web.run(["sh", "-c", `${aeonctl} --version > /dev/null; times`]);
    const children = ran.stdout.trim().split("\n").at(-1) ?? "";
    const seconds = [...children.matchAll(/(\d+)m([\d.]+)s/g)].map(
      ([, minutes, rest]) => Number(minutes) * 60 + Number(rest),
    );
    expect(seconds).toHaveLength(2);
    times.push(seconds.reduce((sum, each) => sum + each, 0) * 1000);
  }
  const median = times.toSorted((a, b) => a - b)[4] ?? Infinity;
  console.log(`aeonctl --version: ${median.toFixed(0)} ms of processor time`);
  expect(median).toBeLessThan(150);
});

test("a killed agent's successor serves the same folders and removes those of containers that went meanwhile", async () => {
  await using stays = await start("stays");
  const goes = await start("goes");
  agent.kill("SIGKILL");
  await agent.exited;
  expect((await stays.run([aeonctl, "info"])).code).toBe(4);
  await goes[Symbol.asyncDispose]();
  agent = await startAgent();
  await expect.poll(() => readdirSync(pods()), { timeout: 30_000 }).toEqual(["default~stays"]);
  await expect
    .poll(async () => (await stays.run([aeonctl, "info"])).code, { timeout: 30_000, interval: 500 })
    .toBe(0);
});
