import { execFile, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { promisify } from "node:util";
import { once } from "node:events";
import { snapshotKey } from "@aeon/core";
import { openRemoteSnapshotter } from "@aeon/snapshotter";
import { beforeAll, expect, test } from "vitest";
import { agentFolders, readiness, startAgentProcess, writeConfig } from "./support/agent-process.ts";

const packageFolder = join(import.meta.dirname, "..");
let bundle: string;

/** Built outside the workspace, so that nothing can be found there by accident. */
beforeAll(async () => {
  bundle = mkdtempSync(join(tmpdir(), "aeon-bundle-"));
  const tsdown = join(packageFolder, "../../node_modules/.bin/tsdown");
  await promisify(execFile)(process.execPath, [tsdown, "--out-dir", bundle, "--logLevel", "error"], {
    cwd: packageFolder,
  });
  return () => rmSync(bundle, { recursive: true });
});

async function adminCall(socketPath: string, method: string): Promise<unknown> {
  const call = request({
    socketPath,
    path: `/aeon.v1.AdminService/${method}`,
    method: "POST",
    headers: { "content-type": "application/json" },
  });
  call.end("{}");
  const [response] = await once(call, "response");
  return json(response);
}

test("the folder is all an agent needs: native calls, worker thread, admin API", async () => {
  const folders = agentFolders();
  writeConfig(folders);
  const agent = startAgentProcess(folders, {}, [join(bundle, "aeon.js")]);
  const url = await agent.ready();
  expect(await readiness(url)).toMatchObject({ ready: true });
  console.log(`ready after ${String((await agent.message("agent is ready"))["ms"])} ms`);

  const snapshotter = openRemoteSnapshotter({ address: folders.snapshotter, name: "aeon" });
  const context = { caller: {}, signal: AbortSignal.timeout(10_000) };
  const key = snapshotKey("k");
  await snapshotter.prepare({ key, labels: {} }, context);
  expect(await snapshotter.usage({ key }, context)).toMatchObject({ inodes: 1n });
  await snapshotter.remove({ key }, context);
  await snapshotter[Symbol.asyncDispose]();

  const status = await adminCall(join(folders.state, "admin.sock"), "GetStatus");
  expect(status).toMatchObject({ ready: true, root: folders.root });
  agent.kill("SIGTERM");
  expect(await agent.exited).toBe(0);
});

test("backup's worker process starts from the folder", async () => {
  const worker = spawn(process.execPath, [join(bundle, "backup-worker.js")], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  worker.stdin.end(JSON.stringify({ job: "measure", path: bundle }));
  expect(await json(worker.stdout)).toEqual({ bytes: expect.any(Number) });
});

test("it holds programs, what they consist of, and the compiled code of those that ran", () => {
  const others = readdirSync(bundle).filter((name) => !/\.c?js$/.test(name));
  expect(others.toSorted()).toEqual([
    "aeon.packages.json",
    "compile-cache",
    "dind-filter.packages.json",
    `koffi-${process.arch}.node`,
    "package.json",
    "pod-cli.packages.json",
  ]);
});
