import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { silentLogger } from "@aeon/core";
import { temporaryFolder } from "@aeon/testkit";
import { expect, test, vi } from "vitest";
import { guardOf, guardPath, guardScript, guardTools, mostOutput } from "../src/runtime/guard.ts";
import type { Hook, Rule } from "../src/rules/rule.ts";
import { followRuns } from "../src/runs/follow-runs.ts";
import { readHookRuns, type HookRun } from "../src/runs/hook-run.ts";
import { mostRuns, runsPath } from "../src/runs/runs-folder.ts";
import { durationMs, summariseRuns } from "../src/runs/summary.ts";
import { call } from "./toolkit.ts";

const state = { ociVersion: "1.0.2", id: "c1", pid: 7, bundle: "/b", annotations: { id: 'no\\"ne' } };

const rule = (part: Partial<Rule>): Rule => ({
  name: "r",
  origin: "/hooks.json:1",
  order: 0,
  position: "last",
  onFailure: "fail",
  when: { kind: "always" },
  hooks: {},
  env: [],
  mounts: [],
  annotations: {},
  ...part,
});

async function setUp() {
  const folder = await temporaryFolder("guard");
  await mkdir(runsPath(folder.path));
  await writeFile(guardPath(folder.path), guardScript(guardTools), { mode: 0o755 });
  return {
    folder: folder.path,
    wrap: (hook: Hook, part: Partial<Rule>) =>
      guardOf({ state: folder.path, record: false })(hook, rule(part), "createRuntime", { pod: "web" }),
    run: (script: string, part: Partial<Rule>, more: Partial<Hook> = {}, input = JSON.stringify(state)) => {
      const hook = { path: "/bin/sh", args: ["sh", "-c", script, "a b"], ...more };
      const guarded = guardOf({ state: folder.path, record: false })(hook, rule(part), "createRuntime", {
        pod: "web",
      });
      return call(guarded.path, (guarded.args ?? []).slice(1), { input });
    },
    runs: () => readHookRuns(runsPath(folder.path)),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

test("keeps output, status, times and container of a hook that gets the state as it is", async () => {
  await using setup = await setUp();
  const script = 'echo "$0"; cat; echo bad >&2; sleep 0.1; exit 3';
  const { code, stderr } = await setup.run(script, { record: true });
  const said = `a b\n${JSON.stringify(state)}\nbad\n`;
  expect({ code, stderr }).toEqual({ code: 3, stderr: said });
  const [run] = await setup.runs();
  expect(run).toMatchObject({
    rule: "r",
    stage: "createRuntime",
    program: "/bin/sh",
    policy: "fail",
    containerId: "c1",
    pod: "web",
    status: 3,
    output: said,
  });
  expect(durationMs(run as HookRun)).toBeGreaterThanOrEqual(100);
});

test("a failure that is ignored is kept, and a state in many lines understood", async () => {
  await using setup = await setUp();
  const pretty = JSON.stringify(state, undefined, 2);
  expect(await setup.run("kill -9 $$", { onFailure: "ignore" }, {}, pretty)).toMatchObject({
    code: 0,
    stderr: expect.stringContaining("hook /bin/sh ended with 137, ignored"),
  });
  expect(await setup.runs()).toMatchObject([{ status: 137, containerId: "c1", policy: "ignore" }]);
});

test("a hook that takes too long is killed, and what it wrote is kept", async () => {
  await using setup = await setUp();
  const from = Date.now();
  expect(await setup.run("echo started; exec sleep 30", { record: true }, { timeout: 1 })).toMatchObject({
    code: 137,
  });
  expect(Date.now() - from).toBeLessThan(20_000);
  expect(await setup.runs()).toMatchObject([{ status: 137, output: expect.stringMatching(/^started\n/) }]);
});

test("only the end of much output is kept", async () => {
  await using setup = await setUp();
  const script = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done";
  expect(await setup.run(script, { record: true })).toMatchObject({ code: 0 });
  const [run] = await setup.runs();
  expect(run?.output).toMatch(/line 19999\n$/);
  expect(run?.output.length).toBeLessThanOrEqual(mostOutput);
  expect(run?.output.length).toBeGreaterThan(mostOutput - 100);
});

test("the number of files does not grow, and a folder that cannot be written stops nothing", async () => {
  await using setup = await setUp();
  const { path, args = [] } = setup.wrap({ path: "/bin/true" }, { record: true });
  const loop = `i=0; while [ $i -lt ${mostRuns + 100} ]; do '${path}' "$@" </dev/null || exit 1; i=$((i+1)); done`;
  expect(await call("/bin/sh", ["-c", loop, "sh", ...args.slice(1)])).toMatchObject({ code: 0 });
  const names = await readdir(runsPath(setup.folder));
  expect(names.length).toBeGreaterThan(100);
  expect(names.length).toBeLessThanOrEqual(mostRuns);
  await rm(runsPath(setup.folder), { recursive: true });
  expect(await setup.run("exit 0", { record: true })).toMatchObject({ code: 0, stderr: "" });
  expect(await setup.run("exit 4", { record: true })).toMatchObject({ code: 4, stderr: "" });
}, 60_000);

test("runs as they end are told once, damaged ones never", async () => {
  await using setup = await setUp();
  await setup.run("echo before", { record: true });
  const told: HookRun[] = [];
  await using follower = await followRuns({
    folder: runsPath(setup.folder),
    onRun: (run) => void told.push(run),
    log: silentLogger,
  });
  expect(follower).toBeDefined();
  await writeFile(join(runsPath(setup.folder), "300"), "{}\n0 1 2 x\nhalf");
  await setup.run("echo one", { record: true });
  await setup.run("echo two; exit 1", { record: true });
  await vi.waitUntil(() => told.length >= 2, { timeout: 10_000 });
  expect(told.map(({ output }) => output)).toEqual(["one\n", "two\n"]);
  expect(summariseRuns(await setup.runs())).toMatchObject([{ rule: "r", runs: 3, failures: 1 }]);
});
