import { spawn } from "node:child_process";
import { once } from "node:events";
import { globSync, readFileSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { seeded } from "@aeon/testkit";
import type { Task } from "@aeon/containerd";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { DindController } from "../src/index.ts";
import { namespace } from "./open-controller.ts";
import { setUp, type Setup } from "./dind-setup.ts";
import { endAll, endMain, importTools, shell } from "./support/main-tools.ts";
import { traces } from "./traces.ts";

const signal = AbortSignal.timeout(400_000);
const main = { namespace, id: "main" };
const seed = Number(process.env["AEON_SEED"] ?? Date.now() % 100_000);
let setup: Setup;
let controller: DindController;
let task: Task;

beforeAll(async () => {
  console.log(`seed ${seed}`);
  setup = await setUp();
  controller = await setup.controller();
  task = await setup.main("main");
  await controller.start(main, signal);
  await importTools(setup, task);
  await shell(setup, task, "echo of main > /file");
}, 300_000);

afterAll(async () => {
  if (controller !== undefined) await endAll(setup, controller);
  await controller?.[Symbol.asyncDispose]();
  await setup?.[Symbol.asyncDispose]();
}, 120_000);

/** The process that serves the filtered socket. */
async function filterPid(): Promise<number> {
  const key = (await controller.status(main)).container.replace("aeon-dind-", "");
  const config = join(setup.folder, "s", key, "filter.json");
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const args = await readFile(`/proc/${name}/cmdline`, "utf8").catch(() => "");
    if (args.split("\0").includes(config)) return Number(name);
  }
  throw new Error("no filter runs");
}

const dindPid = async (): Promise<number> => {
  const { pid } = await controller.status(main);
  if (pid === undefined) throw new Error("no dockerd runs");
  return pid;
};

/** Whether the build is at its longest step. */
async function working(): Promise<boolean> {
  for (const name of await readdir("/proc")) {
    const args = /^\d+$/.test(name) ? await readFile(`/proc/${name}/cmdline`, "utf8").catch(() => "") : "";
    if (args.startsWith("sleep\x001000\0")) return true;
  }
  return false;
}

test("a filter that is killed is another one at once, for inner containers and their pins too", async () => {
  await shell(
    setup,
    task,
    "docker run -d --name inner -v /var/run/docker.sock:/var/run/docker.sock -v /file:/file tools /bin/sleep 100000",
  );
  expect(await shell(setup, task, "docker exec inner docker ps --format '{{.Names}}'")).toBe("inner\n");
  const before = { dind: await dindPid(), filter: await filterPid() };
  process.kill(before.filter, "SIGKILL");
  // No pause: the listening socket outlives the filter, so that clients wait instead of being refused.
  expect(await shell(setup, task, "docker ps --format '{{.Names}}'")).toBe("inner\n");
  expect(await shell(setup, task, "docker exec inner docker ps --format '{{.Names}}'")).toBe("inner\n");
  expect(await shell(setup, task, "docker inspect inner -f '{{.HostConfig.Binds}}'")).toContain(
    "/file:/file",
  );
  expect(await shell(setup, task, "docker restart -t 0 inner; docker exec inner cat /file")).toContain(
    "of main",
  );
  expect(await dindPid()).toBe(before.dind);
  expect(await filterPid()).not.toBe(before.filter);
});

test("a filter that dies while no agent runs is replaced by the next one, and dockerd goes on", async () => {
  const before = await dindPid();
  const filter = await filterPid();
  await controller[Symbol.asyncDispose]();
  process.kill(filter, "SIGKILL");
  controller = await setup.controller();
  await expect.poll(() => controller.list()[0]?.state, { timeout: 30_000, interval: 100 }).toBe("running");
  await controller.settled();
  expect(await shell(setup, task, "docker ps --format '{{.Names}}'")).toBe("inner\n");
  expect(await dindPid()).toBe(before);
  // An agent that finds a filter takes its sockets up again.
  await controller[Symbol.asyncDispose]();
  controller = await setup.controller();
  await expect.poll(() => controller.list()[0]?.state, { timeout: 30_000, interval: 100 }).toBe("running");
  process.kill(await filterPid(), "SIGKILL");
  expect(await shell(setup, task, "docker ps --format '{{.Names}}'")).toBe("inner\n");
  expect(await dindPid()).toBe(before);
});

test("a killed containerd changes nothing for Docker; what ended meanwhile is seen afterwards", async () => {
  const before = await dindPid();
  await setup.containerd.kill();
  await setup.containerd.start();
  await expect
    .poll(async () => (await controller.status(main).catch(() => undefined))?.pid, { timeout: 30_000 })
    .toBe(before);
  // Through the host: containerd's own client in this test reconnects by itself.
  expect(await shell(setup, task, "docker ps --format '{{.Names}}'")).toBe("inner\n");
  await setup.containerd.kill();
  process.kill(before, "SIGKILL");
  await setup.containerd.start();
  await expect
    .poll(async () => (await controller.status(main)).pid, { timeout: 60_000, interval: 100 })
    .not.toBe(before);
  await expect
    .poll(async () => (await controller.status(main)).state, { timeout: 60_000, interval: 100 })
    .toBe("running");
  expect(await shell(setup, task, "docker images --format '{{.Repository}}'")).toBe("tools\n");
});

test("an agent that is killed at any moment of a stop leaves what the next one ends", async () => {
  const random = seeded(seed);
  for (let round = 0; round < 3; round += 1) {
    await controller.start(main, signal);
    await controller[Symbol.asyncDispose]();
    const program = join(import.meta.dirname, "controller-process.ts");
    const words = [program, setup.containerd.address, setup.folder, setup.archive, "main", "stop"];
    const child = spawn(process.execPath, ["--conditions=@aeon/source", ...words], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = once(child, "exit");
    const said: string[] = [];
    child.stdout.on("data", (chunk: Buffer) => said.push(chunk.toString()));
    await expect.poll(() => said.join(""), { timeout: 60_000, interval: 5 }).toContain("stopping");
    // The moment of the kill is what is being varied.
    const after = Math.floor(random() * 1500);
    await sleep(after);
    child.kill("SIGKILL");
    await ended;
    controller = await setup.controller();
    await expect
      .poll(async () => (await setup.client.containers()).map(({ id }) => id).filter((id) => id !== "main"), {
        timeout: 60_000,
        interval: 50,
      })
      .toEqual([]);
    await controller.settled();
    const moment = `round ${round}, killed after ${after} ms`;
    expect({ moment, state: (await controller.status(main)).state }).toEqual({ moment, state: "stopped" });
    expect(
      await shell(setup, task, "ls /run/docker.sock /var/run/docker.sock 2>/dev/null || echo none"),
    ).toBe("none\n");
    expect(await shell(setup, task, "cat /proc/net/dev")).not.toMatch(/docker0|veth/);
  }
  await controller.start(main, signal);
  expect(await shell(setup, task, "docker images --format '{{.Repository}}'")).toBe("tools\n");
});

test("a main container that is removed during a build leaves nothing", async () => {
  const build = await task.exec({
    args: [
      "sh",
      "-c",
      "mkdir /b; printf 'FROM tools\\nRUN echo at work > /dev/null; sleep 1000\\n' > /b/Dockerfile; docker build /b",
    ],
  });
  await build.start();
  await expect.poll(working, { timeout: 60_000, interval: 100 }).toBe(true);
  await endMain(setup, task, "main");
  await expect.poll(() => controller.list(), { timeout: 60_000, interval: 100 }).toEqual([]);
  expect(await traces(setup.folder)).toEqual([]);
  expect(await working()).toBe(false);
  expect((await setup.client.containers()).map(({ id }) => id)).toEqual([]);
});

test("starts and stops again and again leave nothing", { timeout: 900_000 }, async () => {
  const cycles = Number(process.env["AEON_DIND_CYCLES"] ?? 8);
  const again = { namespace, id: "again" };
  const one = await setup.main("again");
  const left = async (container: string) => ({
    files: (await readdir("/proc/self/fd")).length,
    mounts: (await readFile("/proc/self/mountinfo", "utf8"))
      .split("\n")
      .filter((line) => line.includes(setup.folder)).length,
    loops: globSync("/sys/block/loop*/loop/backing_file").filter((file) =>
      readFileSync(file, "utf8").startsWith(setup.folder),
    ).length,
    cgroups: globSync(`/sys/fs/cgroup/**/${container}`).length,
    devices: await shell(setup, one, "tail -n +3 /proc/net/dev | cut -d: -f1"),
    tree: (await readdir(setup.folder, { recursive: true })).filter((path) => !path.includes("/data/"))
      .length,
  });
  const { container } = await controller.start(again, signal);
  await controller.stop(again);
  const cycle = async (): Promise<void> => {
    await controller.start(again, signal);
    await controller.stop(again);
  };
  await cycle();
  // The thread for namespaces rests for a while before it ends.
  await sleep(2500);
  const before = await left(container);
  expect(before.cgroups).toBe(0);
  const memory = process.memoryUsage().rss;
  for (let done = 0; done < cycles; done += 1) await cycle();
  await expect.poll(() => left(container), { timeout: 10_000 }).toEqual(before);
  expect((process.memoryUsage().rss - memory) / 1024 ** 2).toBeLessThan(64);
  await endMain(setup, one, "again");
  await expect.poll(() => controller.list(), { timeout: 60_000, interval: 100 }).toEqual([]);
  expect(await traces(setup.folder)).toEqual([]);
});
