import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startCriNode, temporaryFolder, type CriNode, type TemporaryFolder } from "@aeon/testkit";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { run } from "@aeon/standalone";
import { agentPaths, shippedPrograms, startAgent } from "./servers/agent.ts";
import type { ServerProcess } from "./servers/server-process.ts";

const within = { timeout: 30_000, interval: 100 };
let folder: TemporaryFolder;
let node: CriNode;
let agent: ServerProcess;

const start = () =>
  startAgent({
    folder: folder.path,
    containerd: node.containerd.address,
    more: `[hooks]\npath = "${rulesFile()}"\nnri-socket = "${join(node.containerd.folder, "nri.sock")}"\n`,
  });
const rulesFile = () => join(folder.path, "hooks.json");
const rules = (...list: object[]) =>
  writeFile(rulesFile(), JSON.stringify({ version: 1, rules: list }), { mode: 0o644 });

async function aeonctl(...args: readonly string[]): Promise<string> {
  const { aeonctl: program } = await shippedPrograms(folder.path);
  const words = [program, "--address", agentPaths(folder.path).adminSocket, "hooks", ...args];
  return (await run(process.execPath, words)).stdout;
}
const json = async (...args: readonly string[]): Promise<unknown> =>
  JSON.parse(await aeonctl(...args, "--output", "json"));
const connected = () =>
  vi.waitFor(async () => expect(await json("status")).toMatchObject({ nri: { connected: true } }), within);
const metrics = async (): Promise<string> => {
  const [, address] =
    /address = "(127[^"]*)"/.exec(await readFile(agentPaths(folder.path).config, "utf8")) ?? [];
  return (await fetch(`http://${address}/metrics`)).text();
};

beforeAll(async () => {
  folder = await temporaryFolder("hooks");
  node = await startCriNode({ nri: true });
  const kept = { path: "/bin/sh", args: ["sh", "-c", "echo said by $0; exit $1", "hook", "0"] };
  const failing = { ...kept, args: [...kept.args.slice(0, -1), "9"] };
  await rules(
    { name: "kept", record: true, when: { labels: { "^app$": "^web$" } }, hooks: { createRuntime: [kept] } },
    {
      name: "ignored",
      onFailure: "ignore",
      when: { labels: { "^app$": "^web$" } },
      hooks: { poststart: [failing] },
      env: ["SEEN=1"],
    },
  );
  agent = await start();
  await connected();
});
afterAll(async () => {
  await agent?.[Symbol.asyncDispose]();
  await node?.[Symbol.asyncDispose]();
  await folder?.[Symbol.asyncDispose]();
});

const check = ["sh", "-c", 'exit "${SEEN:-0}"'];
const web = { name: "web-1", namespace: "shop", labels: { app: "web" } };

test("aeonctl shows the rules, the runtime, how hooks ran, and why a container would get which", async () => {
  expect(await json("ls")).toMatchObject([
    { name: "kept", onFailure: "fail", hooks: { createRuntime: 1 } },
    { name: "ignored", onFailure: "ignore", env: 1, hooks: { poststart: 1 } },
  ]);
  expect(await aeonctl("ls", "--quiet")).toBe("kept\nignored\n");
  expect(await json("status")).toMatchObject({
    rules: 2,
    failure: null,
    nri: { runtime: expect.stringMatching(/^containerd v?2\./), failClosed: null, missed: [] },
  });
  expect(await json("explain", "--label", "app=web")).toMatchObject([
    { rule: "kept", applies: true, reasons: [expect.stringContaining("app")] },
    { rule: "ignored", applies: true },
  ]);
  expect(await aeonctl("explain", "--label", "app=db")).toMatch(/^no +kept/m);
  expect(await node.runPod(web, check)).toBe(1);
  await vi.waitFor(async () => expect(await json("log")).toHaveLength(2), within);
  expect(await json("log", "--rule", "kept")).toMatchObject([
    {
      rule: "kept",
      stage: "createRuntime",
      status: 0,
      output: "said by hook\n",
      namespace: "shop",
      pod: "web-1",
    },
  ]);
  expect(await json("log", "--failed")).toMatchObject([{ rule: "ignored", status: 9, onFailure: "ignore" }]);
  await vi.waitFor(async () => {
    const text = await metrics();
    expect(text).toMatch(/^aeon_hooks_runs_total\{rule="kept",stage="createRuntime",outcome="ok"\} 1$/m);
    expect(text).toMatch(/^aeon_hooks_runs_total\{rule="ignored",stage="poststart",outcome="ignored"\} 1$/m);
    expect(text).toMatch(/^aeon_hooks_nri_containers_total\{outcome="injected"\} 1$/m);
    expect(text).toMatch(/^aeon_hooks_nri_connected 1$/m);
  }, within);
});

test("changed rules are in force at once, broken ones are told of and the last good ones stay", async () => {
  await rules({ name: "other", when: { pods: "^web" }, env: ["SEEN=2"] });
  await vi.waitFor(async () => expect(await aeonctl("ls", "--quiet")).toBe("other\n"), within);
  await vi.waitFor(async () => expect(await node.runPod(web, check)).toBe(2), within);
  await writeFile(rulesFile(), '{"poststop":[{"path":"relative"}]}');
  const broken = { rules: 1, failure: expect.stringMatching(/hooks\.json:1:15: poststop\[0\]\.path/) };
  await vi.waitFor(async () => expect(await json("status")).toMatchObject(broken), within);
  expect(await node.runPod(web, check)).toBe(2);
  await rules({ name: "other", when: { pods: "^web" }, env: ["SEEN=2"] });
  await vi.waitFor(async () => expect(await json("status")).toMatchObject({ failure: null }), within);
});

test("a killed agent stops no container; back again it tells of what it missed and injects", async () => {
  await agent.kill();
  await using missed = await node.startPod({ name: "web-2" }, ["sleep", "1000"]);
  expect(await node.runPod({ name: "web-3" }, check)).toBe(0);
  agent = await start();
  await connected();
  expect(await json("status")).toMatchObject({
    nri: { missed: [{ id: missed.container, pod: "web-2", container: "main", rules: ["other"] }] },
  });
  await vi.waitFor(
    async () => expect(await metrics()).toMatch(/^aeon_hooks_nri_missed_containers 1$/m),
    within,
  );
  expect(await node.runPod({ name: "web-4" }, check)).toBe(2);
});

test("killed in the middle of its work, again and again, no container fails", async () => {
  for (let round = 0; round < 5; round += 1) {
    const pods = Array.from({ length: 3 }, (_, index) =>
      node.runPod({ name: `web-${round}-${index}` }, check),
    );
    const killed = new Promise<void>((resolve) => setTimeout(resolve, 30 * round)).then(() => agent.kill());
    const codes = await Promise.all(pods);
    await killed;
    for (const code of codes) expect([0, 2]).toContain(code);
    agent = await start();
    await connected();
  }
  expect(await node.runPod({ name: "web-last" }, check)).toBe(2);
});
