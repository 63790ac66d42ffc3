import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { snapshotKey } from "@aeon/core";
import { openRemoteSnapshotter } from "@aeon/snapshotter";
import { expect, onTestFinished, test } from "vitest";
import {
  AgentProcess,
  agentFolders,
  startAgentProcess,
  writeConfig,
  type AgentFolders,
} from "./support/agent-process.ts";

const context = { caller: {}, signal: new AbortController().signal };
const within = { timeout: 20_000, interval: 20 };

const startWithStandIn = (folders: AgentFolders, time: string): AgentProcess =>
  new AgentProcess(["agent", "--config", folders.config, "--stand-in", time]);

/** Who has the root folder, as the agent's lock says. */
const ownerOf = ({ root }: AgentFolders): string => readFileSync(join(root, "agent.lock"), "utf8").trim();

const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}/exe`);

/** The process that stands in, once it does. */
async function standInOf(folders: AgentFolders): Promise<number> {
  await expect.poll(() => ownerOf(folders), within).toMatch(/^\d+ stand-in$/);
  await expect.poll(() => existsSync(folders.snapshotter), within).toBe(true);
  const pid = Number.parseInt(ownerOf(folders), 10);
  onTestFinished(() => {
    if (isAlive(pid)) process.kill(pid, "SIGKILL");
  });
  return pid;
}

test("when an agent ends another process stands in for it, outside of its control groups, until the next agent comes", async () => {
  const folders = agentFolders();
  writeConfig(folders);
  const first = startWithStandIn(folders, "1m");
  await first.ready();
  await using snapshotter = openRemoteSnapshotter({ address: folders.snapshotter, name: "aeon" });
  await snapshotter.prepare({ key: snapshotKey("k"), labels: {} }, context);
  first.kill("SIGTERM");
  expect(await first.exited).toBe(0);
  const pid = await standInOf(folders);
  const groups = readFileSync(`/proc/${pid}/cgroup`, "utf8").trim().split("\n");
  expect(groups.filter((line) => !line.endsWith(":/aeon-stand-in"))).toEqual([]);
  expect(await snapshotter.stat({ key: snapshotKey("k") }, context)).toMatchObject({ kind: "active" });
  const second = startAgentProcess(folders);
  await second.ready();
  expect(ownerOf(folders)).toBe(String(second.child.pid));
  await expect.poll(() => isAlive(pid), within).toBe(false);
  expect(await snapshotter.stat({ key: snapshotKey("k") }, context)).toMatchObject({ kind: "active" });
  expect(globSync("/sys/fs/cgroup/**/aeon-stand-in")).toEqual([]);
  // It was started without, so nobody stands in for it.
  second.kill("SIGTERM");
  expect(await second.exited).toBe(0);
  expect(existsSync(folders.snapshotter)).toBe(false);
});

test("one that stands in ends by itself when no agent comes, and leaves nobody", async () => {
  const folders = agentFolders();
  writeConfig(folders);
  const agent = startWithStandIn(folders, "1s");
  await agent.ready();
  agent.kill("SIGTERM");
  await agent.exited;
  const pid = await standInOf(folders);
  await expect.poll(() => isAlive(pid), within).toBe(false);
  expect(existsSync(folders.snapshotter)).toBe(false);
  expect(ownerOf(folders)).toBe(`${pid} stand-in`);
  expect(globSync("/sys/fs/cgroup/**/aeon-stand-in")).toEqual([]);
});

test("one that would stand in for another agent than the one that runs is refused", async () => {
  const folders = agentFolders();
  writeConfig(folders);
  const first = startAgentProcess(folders);
  await first.ready();
  const second = new AgentProcess([
    "agent",
    "--config",
    folders.config,
    "--stand-in-after",
    String(process.pid),
    "--stand-in",
    "1m",
  ]);
  expect(await second.exited).toBe(1);
  expect(second.errors).toContain("AGENT_ALREADY_RUNNING");
  expect(isAlive(first.child.pid ?? 0)).toBe(true);
});
