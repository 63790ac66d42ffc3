import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Task } from "@aeon/containerd";
import { run } from "@aeon/standalone";
import { debianFile, dockerTree } from "@aeon/testkit";
import type { DindController } from "../../src/index.ts";
import type { Setup } from "../dind-setup.ts";

/** Runs a shell script in a main container; fails unless its exit code is the expected one. */
export const shell = (setup: Setup, task: Task, script: string, expected = 0): Promise<string> =>
  setup.exec(task, ["sh", "-c", script], expected);

/** Makes the main container's own files, with its docker programs, an image of the Docker in it. */
export const importTools = (setup: Setup, task: Task): Promise<string> =>
  shell(setup, task, "tar -C / -c bin lib lib64 usr | docker import - tools");

/** Ends a main container and removes it, as its owner does. */
export async function endMain(setup: Setup, task: Task, id: string): Promise<void> {
  const ended = task.wait();
  await task.kill("SIGKILL");
  await ended;
  await task.delete();
  await setup.client.container(id).delete({ snapshot: true });
}

/** Ends main containers that a test that failed may have left, and waits until nothing of theirs is there. */
export async function endAll(setup: Setup, controller: DindController): Promise<void> {
  for (const { id } of controller.list())
    await (await setup.client.container(id).task()).kill("SIGKILL").catch(() => undefined);
  const deadline = Date.now() + 60_000;
  while (controller.list().length > 0 && Date.now() < deadline) await sleep(50);
}

/** What a suite of tests does at its end, however far its start came: ends main containers, controller and containerd. */
export async function tearDown(
  setup: Setup | undefined,
  controller: DindController | undefined,
): Promise<void> {
  if (setup !== undefined && controller !== undefined) await endAll(setup, controller);
  await controller?.[Symbol.asyncDispose]();
  await setup?.[Symbol.asyncDispose]();
}

/** A registry in the network that a main container and its dockerd share; answers once it serves. */
export async function startRegistry(setup: Setup, task: Task, port: number): Promise<AsyncDisposable> {
  const program = await debianFile("docker-registry", "usr/bin/docker-registry");
  const file = join(setup.folder, `registry-${port}.yml`);
  const data = join(setup.folder, `registry-${port}`);
  await writeFile(
    file,
    `version: 0.1
log: { level: error }
storage: { filesystem: { rootdirectory: ${data} } }
http: { addr: "127.0.0.1:${port}" }
`,
  );
  const registry = spawn("nsenter", ["-t", String(task.pid), "-n", program, "serve", file], {
    stdio: "ignore",
  });
  const ended = once(registry, "exit");
  const stop = async (): Promise<void> => {
    registry.kill("SIGKILL");
    await ended;
  };
  const deadline = Date.now() + 30_000;
  while ((await shell(setup, task, `wget -qO- http://127.0.0.1:${port}/v2/ || true`)) !== "{}") {
    if (Date.now() > deadline) {
      await stop();
      throw new Error("the registry does not serve");
    }
    await sleep(50);
  }
  return { [Symbol.asyncDispose]: stop };
}

/** A network between a main container (10.77.0.2, `eth0`, default route) and a namespace outside of it (10.77.0.1). */
export interface Outside extends AsyncDisposable {
  /** Words before a command that is to run there. */
  readonly enter: readonly string[];
}

export async function connectOutside(pid: number, mtu: number): Promise<Outside> {
  const { root } = await dockerTree("28");
  const name = `aeon${randomBytes(4).toString("hex")}`;
  // The host may have no `ip`; that of the engine's tree needs its own loader here.
  const libraries = join(root, "usr/lib/x86_64-linux-gnu");
  const program = [
    join(libraries, "ld-linux-x86-64.so.2"),
    "--library-path",
    libraries,
    join(root, "usr/sbin/ip"),
  ];
  const ip = (args: string, where: readonly string[]) =>
    run("nsenter", [...where, ...program, ...args.split(" ")]);
  // A process of its own keeps the namespace, so that it goes with this one.
  const keeper = spawn("unshare", ["--net", "sh", "-c", "echo ready; exec cat"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  await once(keeper.stdout, "data");
  const there = ["-t", String(keeper.pid), "-n"];
  const inMain = ["-t", String(pid), "-n"];
  try {
    await ip(`link add ${name} mtu ${mtu} type veth peer name eth0 mtu ${mtu} netns ${pid}`, there);
    await ip(`addr add 10.77.0.1/24 dev ${name}`, there);
    await ip(`link set ${name} up`, there);
    await ip("addr add 10.77.0.2/24 dev eth0", inMain);
    await ip("link set eth0 up", inMain);
    await ip("route add default via 10.77.0.1", inMain);
  } catch (error) {
    keeper.kill("SIGKILL");
    throw error;
  }
  return {
    enter: ["nsenter", ...there],
    async [Symbol.asyncDispose]() {
      const ended = once(keeper, "exit");
      keeper.kill("SIGKILL");
      await ended;
    },
  };
}
