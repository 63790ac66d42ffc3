import { spawn } from "node:child_process";
import { once } from "node:events";
import { globSync, readFileSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { seeded } from "@aeon/testkit";
import type { Task } from "@aeon/containerd";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { DindRecords, type DindRecord } from "../src/controller/records.ts";
import type { DindController } from "../src/index.ts";
import { namespace } from "./open-controller.ts";
import { setUp, type Setup } from "./dind-setup.ts";
import { endAll, endMain, importTools, shell } from "./support/main-tools.ts";
import { traces } from "./traces.ts";

const main = { namespace, id: "main" };
const seed = Number(process.env["AEON_SEED"] ?? Date.now() % 100_000);
/** Of kills in the middle of a stop, and the longest that a stop is given. */
const rounds = Number(process.env["AEON_DIND_KILLS"] ?? 3);
const longestStopMs = 1500;
let setup: Setup;
let controller: DindController;
let isOpen = false;
let task: Task;

const start = (container = main) => controller.start(container, AbortSignal.timeout(120_000));

async function open(): Promise<void> {
  controller = await setup.controller();
  isOpen = true;
}

/** As when the agent ends; DinD containers and their filters go on. */
async function close(): Promise<void> {
  isOpen = false;
  await controller[Symbol.asyncDispose]();
}

beforeAll(async () => {
  console.log(`seed ${seed}`);
  setup = await setUp();
  await open();
  task = await setup.main("main");
  await start();
  await importTools(setup, task);
  await shell(setup, task, "echo of main > /file");
}, 300_000);

// A test that fails in its middle must not be the failure of the next one too.
beforeEach(async () => {
  await setup.containerd.start();
  if (!isOpen) await open();
  await controller.settled();
  if (controller.list().some(({ id }) => id === "main")) await start();
}, 180_000);

afterAll(async () => {
  if (isOpen) {
    await endAll(setup, controller);
    await close();
  }
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

/** Its control groups by hierarchy. */
const groupsOf = (pid: number): readonly string[] =>
  readFileSync(`/proc/${pid}/cgroup`, "utf8").trim().split("\n");

test("a filter is in a group of its own beside its main container's, wherever the agent is, and the group goes with it", async () => {
  const key = (await controller.status(main)).container.replace("aeon-dind-", "");
  const isOutside = (pid: number): void => {
    const own = groupsOf(pid);
    expect(own.length).toBeGreaterThan(0);
    for (const [index, line] of groupsOf(task.pid).entries()) {
      const parent = line.slice(line.indexOf("/")).replace(/\/?[^/]*$/, "");
      expect(own[index]).toBe(`${line.slice(0, line.indexOf("/"))}${parent}/aeon-filter-${key}`);
    }
  };
  await controller.settled();
  isOutside(await filterPid());
  process.kill(await filterPid(), "SIGKILL");
  await shell(setup, task, "docker ps");
  await controller.settled();
  isOutside(await filterPid());
  const groups = (): readonly string[] => globSync(`/sys/fs/cgroup/**/aeon-filter-${key}`);
  expect(groups()).not.toEqual([]);
  await controller.stop(main);
  expect(groups()).toEqual([]);
  await start();
});

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
  await close();
  process.kill(filter, "SIGKILL");
  await open();
  await controller.settled();
  expect(controller.list()[0]?.state).toBe("running");
  expect(await shell(setup, task, "docker ps --format '{{.Names}}'")).toBe("inner\n");
  expect(await dindPid()).toBe(before);
  // An agent that finds a filter takes its sockets up again.
  await close();
  await open();
  await controller.settled();
  expect(controller.list()[0]?.state).toBe("running");
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
  // Through the host, at once: a client of containerd that is about to reconnect waits for it.
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

const sockets = () =>
  shell(setup, task, "cd /run; ls -A | grep docker; ls /var/run/docker.sock 2>/dev/null; true");

/** Changes the record of the main container while no agent runs. */
async function rewrite(change: Partial<DindRecord>): Promise<void> {
  await using records = new DindRecords(join(setup.folder, "root", "dind.db"));
  const record = records.get(main.namespace, main.id);
  if (record === undefined) throw new Error("no record");
  await records.put({ ...record, ...change });
}

test("a stop that was cut short after its container went takes the sockets away", async () => {
  const { container } = await controller.status(main);
  await close();
  await rewrite({ wanted: "stopped" });
  const dind = await setup.client.container(container).task();
  const ended = dind.wait();
  await dind.kill("SIGKILL");
  await ended;
  await dind.delete();
  await setup.client.container(container).delete({ snapshot: true });
  await open();
  await controller.settled();
  expect(await sockets()).toBe("");
});

const cutShort = "touch /run/.docker.sock.aeon";

test("a socket that a start made and did not write down is in nobody's way, and goes", async () => {
  await controller.stop(main);
  await shell(setup, task, cutShort);
  await start();
  expect(await sockets()).toBe("docker.sock\n/var/run/docker.sock\n");
  await shell(setup, task, cutShort);
  await controller.stop(main);
  expect(await sockets()).toBe("");
});

// A round takes three seconds, on a busy machine many times that.
const stopTimeout = 120_000 + 30_000 * rounds;

test(
  "an agent that is killed at any moment of a stop leaves what the next one ends",
  { timeout: stopTimeout },
  async () => {
    const random = seeded(seed);
    for (let round = 0; round < rounds; round += 1) {
      await start();
      await close();
      // The moment of the kill is what is being varied.
      const after = Math.floor(random() * longestStopMs);
      await killInStop(after);
      await open();
      await controller.settled();
      const moment = `round ${round}, killed after ${after} ms`;
      expect({
        moment,
        state: (await controller.status(main)).state,
        containers: (await setup.client.containers()).map(({ id }) => id),
        sockets: await sockets(),
        devices: /docker0|veth/.exec(await shell(setup, task, "cat /proc/net/dev")),
      }).toEqual({ moment, state: "stopped", containers: ["main"], sockets: "", devices: null });
    }
    await start();
    expect(await shell(setup, task, "docker images --format '{{.Repository}}'")).toBe("tools\n");
  },
);

/** An agent in a process of its own stops the DinD container and is killed some milliseconds after it began. */
async function killInStop(after: number): Promise<void> {
  const program = join(import.meta.dirname, "controller-process.ts");
  const words = [program, setup.containerd.address, setup.folder, setup.archive, "main", "stop"];
  const child = spawn(process.execPath, ["--conditions=@aeon/source", ...words], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  try {
    const said: string[] = [];
    child.stdout.on("data", (chunk: Buffer) => said.push(chunk.toString()));
    await expect.poll(() => said.join(""), { timeout: 60_000, interval: 5 }).toContain("stopping");
    await sleep(after);
  } finally {
    child.kill("SIGKILL");
    await ended;
  }
}

/** Kills containerd some milliseconds after `work` began, and starts it again. */
async function withoutContainerd(work: () => Promise<unknown>, after: number): Promise<void> {
  const done = work().catch(() => {});
  await sleep(after);
  await setup.containerd.kill();
  await setup.containerd.start();
  await done;
  await controller.settled();
}

test(
  "a containerd that is killed at any moment of a start or a stop is in nobody's way afterwards",
  { timeout: stopTimeout },
  async () => {
    const random = seeded(seed + 1);
    for (let round = 0; round < rounds; round += 1) {
      // The moment of the kill is what is being varied.
      const [inStop, inStart] = [random(), random()].map((part) => Math.floor(part * longestStopMs));
      const moment = `round ${round}, killed after ${inStop} and ${inStart} ms`;
      await withoutContainerd(() => controller.stop(main), inStop ?? 0);
      await controller.stop(main);
      expect({ moment, sockets: await sockets() }).toEqual({ moment, sockets: "" });
      await withoutContainerd(() => start(), inStart ?? 0);
      expect({ moment, state: (await start()).state }).toEqual({ moment, state: "running" });
      expect(await shell(setup, task, "docker images --format '{{.Repository}}'")).toBe("tools\n");
    }
    expect((await setup.client.containers()).map(({ id }) => id).toSorted()).toEqual(
      [(await controller.status(main)).container, "main"].toSorted(),
    );
  },
);

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

test("starts and stops again and again leave nothing", { timeout: 1_800_000 }, async () => {
  await endAll(setup, controller);
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
  const cycle = async (): Promise<void> => {
    await start(again);
    await controller.stop(again);
  };
  const { container } = await start(again);
  await controller.stop(again);
  await cycle();
  // The thread for namespaces rests for a while before it ends.
  await expect.poll(threads, { timeout: 30_000, interval: 100 }).toBe(0);
  const before = await left(container);
  expect(before.cgroups).toBe(0);
  const memory = memoryInUse();
  for (let done = 0; done < cycles; done += 1) await cycle();
  await expect.poll(() => left(container), { timeout: 30_000 }).toEqual(before);
  await expect.poll(threads, { timeout: 30_000, interval: 100 }).toBe(0);
  // Megabytes for what is compiled and cached meanwhile, and little for each cycle.
  expect((memoryInUse() - memory) / 1024).toBeLessThan(4096 + 32 * cycles);
  await endMain(setup, one, "again");
  await expect.poll(() => controller.list(), { timeout: 60_000, interval: 100 }).toEqual([]);
  expect(await traces(setup.folder)).toEqual([]);
});

/** Threads for namespaces. */
async function threads(): Promise<number> {
  const names = await Promise.all(
    (await readdir("/proc/self/task")).map((id) =>
      readFile(`/proc/self/task/${id}/comm`, "utf8").catch(() => ""),
    ),
  );
  return names.filter((name) => name.startsWith("aeon-namespace")).length;
}

/** Bytes that this process holds: what garbage collection leaves of its heap, and buffers. */
function memoryInUse(): number {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  if (typeof collect !== "function") throw new Error("no garbage collection");
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
