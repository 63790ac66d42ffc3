import { once } from "node:events";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { errnoOf, linux, snapshotKey } from "@aeon/core";
import { openRemoteSnapshotter } from "@aeon/snapshotter";
import { expect, onTestFinished, test } from "vitest";
import {
  AgentProcess,
  agentFolders,
  readiness,
  startAgentProcess,
  writeConfig,
} from "./support/agent-process.ts";
import { DatagramReceiver } from "./support/datagram-receiver.ts";

const plugin = (name: string): string => join(import.meta.dirname, "plugins", `${name}.ts`);
const context = { caller: {}, signal: new AbortController().signal };

function snapshotterAt(address: string) {
  const snapshotter = openRemoteSnapshotter({ address, name: "aeon" });
  onTestFinished(() => snapshotter[Symbol.asyncDispose]());
  return snapshotter;
}

test("starts, serves its pages and sockets, stops on SIGTERM and leaves nothing", async () => {
  const folders = agentFolders();
  writeConfig(folders);
  const agent = startAgentProcess(folders);
  const url = await agent.ready();

  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  const ready = await readiness(url);
  expect(ready).toMatchObject({ status: 200, ready: true });
  expect(ready.plugins.map(({ name }) => name)).toEqual([
    "snapshotter",
    "backup",
    "hooks",
    "container-service",
    "dind",
    "linux",
    "http",
    "admin",
  ]);
  const metrics = await (await fetch(`${url}/metrics`)).text();
  expect(metrics).toContain('aeon_plugin_ready{plugin="snapshotter"} 1');
  expect(metrics).toMatch(/nodejs_eventloop_lag_p99_seconds \d/);
  expect((await fetch(`${url}/metrics`, { method: "POST", body: "x" })).status).toBe(405);
  expect((await fetch(`${url}/etc/passwd`)).status).toBe(404);

  for (const socket of ["snapshotter.sock", "admin.sock"])
    expect(statSync(join(folders.state, socket)).mode & 0o777).toBe(0o600);
  const snapshotter = snapshotterAt(folders.snapshotter);
  await snapshotter.prepare({ key: snapshotKey("k"), labels: {} }, context);
  expect(await snapshotter.stat({ key: snapshotKey("k") }, context)).toMatchObject({ kind: "active" });

  agent.kill("SIGTERM");
  expect(await agent.exited).toBe(0);
  for (const socket of ["snapshotter.sock", "admin.sock"])
    expect(existsSync(join(folders.state, socket))).toBe(false);
  expect(agent.errors).toBe("");
});

test("a second agent on the same root is refused and names the first", async () => {
  const folders = agentFolders();
  writeConfig(folders);
  const first = startAgentProcess(folders);
  await first.ready();
  const second = startAgentProcess(folders);
  expect(await second.exited).toBe(1);
  expect(second.errors).toContain(
    `AGENT_ALREADY_RUNNING: an agent (process ${first.child.pid}) already uses ${folders.root}`,
  );
  expect(existsSync(folders.snapshotter)).toBe(true);
});

test("after SIGKILL the next agent takes over sockets and root", async () => {
  const folders = agentFolders();
  writeConfig(folders);
  const first = startAgentProcess(folders);
  await first.ready();
  first.kill("SIGKILL");
  expect(await first.exited).toBe("SIGKILL");
  expect(existsSync(folders.snapshotter)).toBe(true);
  const second = startAgentProcess(folders);
  const url = await second.ready();
  expect((await readiness(url)).ready).toBe(true);
});

test.each([
  [
    { snapshoter: {} },
    /CONFIG_INVALID: .*config\.toml:\d+: snapshoter: unknown key; did you mean "snapshotter"\?/,
  ],
  [{ log: { level: "loud" } }, /config\.toml:\d+: log\.level: expected .* but received "loud"/],
  [{ metrics: { address: "nowhere" } }, /metrics\.address: expected host and port/],
  [{ backup: { "staging-limit": "much" } }, /backup\.staging-limit: expected a text such as "20GiB"/],
  [{ snapshotter: { backend: "remote" } }, /REMOTE_ADDRESS_MISSING/],
  [{ root: "/proc/aeon" }, /ROOT_UNUSABLE: cannot use \/proc\/aeon/],
])("configuration %j is refused with a message", async (tables, message) => {
  const folders = agentFolders();
  writeConfig(folders, tables);
  const agent = startAgentProcess(folders);
  expect(await agent.exited).toBe(1);
  expect(agent.errors).toMatch(message);
  expect(agent.errors).not.toContain("    at ");
});

test("config check and print", async () => {
  const folders = agentFolders();
  writeConfig(folders, { containerd: { namespaces: ["a"] } });
  const run = async (...args: string[]) => {
    const agent = new AgentProcess(["config", ...args, "--config", folders.config], {
      AEON_LOG_LEVEL: "warn",
    });
    return { code: await agent.exited, output: agent.output, errors: agent.errors };
  };
  expect(await run("check")).toMatchObject({ code: 0, output: `${folders.config} is fine\n` });
  const { output } = await run("print", "--set", "containerd.namespaces=b,c");
  expect(output).toContain(`root = "${folders.root}"  # ${folders.config}:1`);
  expect(output).toContain('level = "warn"  # $AEON_LOG_LEVEL');
  expect(output).toContain('namespaces = [ "b", "c" ]  # --set containerd.namespaces');
  expect(output).toContain('backend = "overlayfs"  # default');
  expect(await run("check", "--set", "log.levle=info")).toMatchObject({
    code: 1,
    errors: expect.stringContaining('--set log.levle: log.levle: unknown key; did you mean "level"?'),
  });
});

test("changes of the file and SIGHUP reload; faults change nothing; some keys wait for a restart", async () => {
  const folders = agentFolders();
  writeConfig(folders);
  const agent = startAgentProcess(folders);
  await agent.ready();

  writeConfig(folders, {
    log: { level: "info", format: "json" },
    containerd: { address: "/run/other.sock" },
  });
  expect(
    await agent.message("configuration reloaded; some keys wait for a restart of the agent"),
  ).toMatchObject({ keys: ["containerd"] });

  writeFileSync(folders.config, "[log]\nlevel = 7\n");
  expect(await agent.message("configuration not reloaded; the old one stays")).toMatchObject({
    error: { reason: "CONFIG_INVALID" },
  });

  const seen = agent.lines.length;
  writeConfig(folders, {
    log: { level: "info", format: "json" },
    containerd: { address: "/run/other.sock" },
  });
  await agent.message("configuration reloaded; some keys wait for a restart of the agent", seen);
  const before = agent.lines.length;
  agent.kill("SIGHUP");
  await agent.message("configuration reloaded; some keys wait for a restart of the agent", before);
  const last = agent.lines.length;
  writeConfig(folders);
  await agent.message("configuration reloaded", last);
});

const isFailure = ({ msg, plugin: name }: Readonly<Record<string, unknown>>) =>
  msg === "plugin failed" && name === "flaky";

test("a plugin that cannot start is tried again with growing pauses while the snapshotter serves", async () => {
  const folders = agentFolders();
  const gate = join(folders.folder, "gate");
  writeConfig(folders, { plugins: [plugin("flaky")], flaky: { gate } });
  const agent = startAgentProcess(folders);
  const url = await agent.ready();

  await agent.line(() => agent.lines.filter(isFailure).length >= 3);
  const pauses = agent.lines.filter(isFailure).map(({ retryMs }) => Number(retryMs));
  for (const [index, pause] of pauses.entries()) {
    expect(pause).toBeGreaterThanOrEqual(250 * 2 ** index);
    expect(pause).toBeLessThanOrEqual(500 * 2 ** index);
  }
  const failing = await readiness(url);
  expect(failing).toMatchObject({ status: 503, ready: false });
  expect(failing.plugins.find(({ name }) => name === "flaky")).toMatchObject({
    failure: "the gate is closed",
  });
  const snapshotter = snapshotterAt(folders.snapshotter);
  await snapshotter.prepare({ key: snapshotKey("k"), labels: {} }, context);

  writeFileSync(gate, "");
  await expect.poll(() => readiness(url), { timeout: 20_000, interval: 200 }).toMatchObject({ ready: true });
});

test.each([
  { name: "waiting", first: "snapshotter is served" },
  { name: "waiting-hook", first: "the gate is open" },
])("snapshots wait for the start of plugins with hooks only: $name", async ({ name, first }) => {
  const folders = agentFolders();
  const gate = join(folders.folder, "gate");
  writeConfig(folders, { plugins: [plugin(name)], [name]: { gate } });
  const agent = startAgentProcess(folders);
  await agent.message("waiting for the gate");
  await agent.message(name === "waiting" ? "snapshotter is served" : "metrics and health are served");
  writeFileSync(gate, "");
  await agent.ready();
  const order = agent.lines.map(({ msg }) => msg);
  expect(order.find((msg) => ["snapshotter is served", "the gate is open"].includes(msg))).toBe(first);
  expect(order.indexOf("agent is ready")).toBeGreaterThan(order.indexOf("the gate is open"));
});

test("a package that cannot be loaded is reported and nothing else", async () => {
  const folders = agentFolders();
  writeConfig(folders, { plugins: ["aeon-plugin-that-is-absent"], "its-table": { x: 1 } });
  const agent = startAgentProcess(folders);
  const url = await agent.ready();
  const { plugins, status } = await readiness(url);
  expect(status).toBe(503);
  expect(plugins.find(({ name }) => name === "aeon-plugin-that-is-absent")?.failure).toMatch(
    /cannot be used/,
  );
  expect(plugins.find(({ name }) => name === "snapshotter")).toMatchObject({ state: "ready" });
});

test.each(["timer", "promise"])(
  "an error that nobody catches (%s) restarts its plugin only",
  async (kind) => {
    const folders = agentFolders();
    writeConfig(folders, { plugins: [plugin("bomb")], bomb: { kind } });
    const agent = startAgentProcess(folders);
    const url = await agent.ready();
    expect(await agent.message("uncaught error")).toMatchObject({ plugin: "bomb" });
    await agent.line(({ msg, starts }) => msg === "bomb started" && starts === 2);
    await expect.poll(() => readiness(url), { timeout: 10_000, interval: 50 }).toMatchObject({ ready: true });
    const { plugins } = await readiness(url);
    expect(plugins.find(({ name }) => name === "snapshotter")).toMatchObject({ restarts: 0 });
    expect(await (await fetch(`${url}/metrics`)).text()).toContain(
      'aeon_uncaught_errors_total{plugin="bomb"} 1',
    );
  },
);

test("on SIGTERM calls under way finish with their hooks, then plugins stop, the snapshotter last", async () => {
  const folders = agentFolders();
  writeConfig(folders, { plugins: [plugin("slow-mounts")], "slow-mounts": { ms: 1500 } });
  const agent = startAgentProcess(folders);
  await agent.ready();
  const snapshotter = snapshotterAt(folders.snapshotter);
  const key = snapshotKey("k");
  await snapshotter.prepare({ key, labels: {} }, context);
  const mounts = snapshotter.mounts({ key }, context);
  await agent.message("mounts delayed");
  agent.kill("SIGTERM");
  expect(await mounts).toHaveLength(1);
  expect(await agent.exited).toBe(0);
  const order = agent.lines.map(({ msg }) => msg);
  const steps = ["agent is stopping", "mounts go on", "slow-mounts stopped", "agent stopped"];
  expect(order.filter((msg) => steps.includes(msg))).toEqual(steps);
});

test("a hook that takes all memory ends the process, and nothing that was answered is lost", async () => {
  const folders = agentFolders();
  writeConfig(folders, { plugins: [plugin("glutton")] });
  const agent = startAgentProcess(folders, { NODE_OPTIONS: "--max-old-space-size=96" });
  await agent.ready();
  const first = snapshotterAt(folders.snapshotter);
  await first.prepare({ key: snapshotKey("work"), labels: {} }, context);
  await first.commit({ name: snapshotKey("kept"), key: snapshotKey("work"), labels: {} }, context);
  await expect(first.prepare({ key: snapshotKey("feast"), labels: {} }, context)).rejects.toMatchObject({
    code: "unavailable",
  });
  expect(await agent.exited).toBe("SIGABRT");

  writeConfig(folders);
  const next = startAgentProcess(folders);
  await next.ready();
  const second = snapshotterAt(folders.snapshotter);
  expect((await second.stat({ key: snapshotKey("kept") }, context)).kind).toBe("committed");
  const child = { key: snapshotKey("child"), parent: snapshotKey("kept"), labels: {} };
  expect(await second.prepare(child, context)).toHaveLength(1);
});

test("a second SIGTERM waits for nobody", async () => {
  const folders = agentFolders();
  writeConfig(folders, { plugins: [plugin("stubborn")] });
  const agent = startAgentProcess(folders);
  await agent.ready();
  agent.kill("SIGTERM");
  await agent.message("agent is stopping");
  const asked = performance.now();
  // Signals at once count as one wish.
  agent.kill("SIGTERM");
  await sleep(600);
  agent.kill("SIGTERM");
  expect(await agent.exited).toBe(0);
  expect(performance.now() - asked).toBeLessThan(5000);
  expect(existsSync(folders.snapshotter)).toBe(false);
});

test("systemd is told of every step, by path and by abstract name", async () => {
  for (const isAbstract of [false, true]) {
    const folders = agentFolders();
    writeConfig(folders);
    const address = isAbstract ? `@aeon-test-${process.pid}` : join(folders.folder, "notify");
    using receiver = new DatagramReceiver(address);
    const agent = startAgentProcess(folders, { NOTIFY_SOCKET: address, WATCHDOG_USEC: "400000" });
    const datagrams: string[][] = [];
    const until = async (line: string) => {
      do datagrams.push(await receiver.next());
      while (datagrams.at(-1)?.[0] !== line);
    };
    await until("READY=1");
    await until("WATCHDOG=1");
    agent.kill("SIGHUP");
    await until("RELOADING=1");
    expect(datagrams.at(-1)?.[1]).toMatch(/^MONOTONIC_USEC=\d+$/);
    await until("READY=1");
    agent.kill("SIGTERM");
    await until("STOPPING=1");
    expect(await agent.exited).toBe(0);
  }
});

test("a metrics port in use is a failure of that plugin alone", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  const folders = agentFolders();
  writeConfig(folders, { metrics: { address: `127.0.0.1:${port}` } });
  const agent = startAgentProcess(folders);
  await agent.message("agent is ready");
  expect(
    await agent.line(({ msg, plugin: name }) => msg === "plugin failed" && name === "http"),
  ).toMatchObject({
    error: { code: "EADDRINUSE" },
  });
  await snapshotterAt(folders.snapshotter).prepare({ key: snapshotKey("k"), labels: {} }, context);
  server.close();
  await agent.message("metrics and health are served");
  expect(readFileSync(join(folders.root, "agent.lock"), "utf8")).toBe(`${agent.child.pid}\n`);
});

async function smallDisk(folder: string): Promise<void> {
  await linux.mount({ source: "aeon-test", target: folder, type: "tmpfs", flags: 0, data: "size=4m" });
  onTestFinished(() => linux.unmount(folder, linux.unmountFlags.detach));
}

/** Writes until the disk refuses; gives the reason. */
function fill(path: string): string | undefined {
  const fd = openSync(path, "w");
  try {
    for (;;) writeSync(fd, Buffer.alloc(4096, 1));
  } catch (error) {
    return errnoOf(error);
  } finally {
    closeSync(fd);
  }
}

test("on a full disk the agent still starts and serves what there is; with space again it is well", async () => {
  const folders = agentFolders();
  mkdirSync(folders.root);
  await smallDisk(folders.root);
  writeConfig(folders);
  const key = snapshotKey("k");
  const first = startAgentProcess(folders);
  await first.ready();
  await snapshotterAt(folders.snapshotter).prepare({ key, labels: {} }, context);
  first.kill("SIGTERM");
  await first.exited;
  expect(fill(join(folders.root, "ballast"))).toBe("ENOSPC");

  const second = startAgentProcess(folders);
  const url = await second.ready();
  const snapshotter = snapshotterAt(folders.snapshotter);
  expect(await snapshotter.mounts({ key }, context)).toHaveLength(1);
  expect(await readiness(url)).toMatchObject({ ready: false });
  rmSync(join(folders.root, "ballast"));
  await snapshotter.prepare({ key: snapshotKey("next"), labels: {} }, context);
  await expect.poll(() => readiness(url), { timeout: 20_000, interval: 200 }).toMatchObject({ ready: true });
});

test("a read-only root is refused by name", async () => {
  const folders = agentFolders();
  mkdirSync(folders.root);
  await smallDisk(folders.root);
  const { remount, readOnly } = linux.mountFlags;
  const target = folders.root;
  await linux.mount({ source: "aeon-test", target, type: "tmpfs", flags: remount | readOnly, data: "" });
  writeConfig(folders);
  const agent = startAgentProcess(folders);
  expect(await agent.exited).toBe(1);
  expect(agent.errors).toMatch(/ROOT_UNUSABLE: cannot use .*EROFS/);
});
