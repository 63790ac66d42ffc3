import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Task } from "@aeon/containerd";
import { run } from "@aeon/standalone";
import { dockerTree } from "@aeon/testkit";
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

/** A network between a main container (10.77.0.2, `eth0`, default route) and a namespace outside of it (10.77.0.1). */
export interface Outside extends AsyncDisposable {
  /** Words before a command that is to run there. */
  readonly enter: readonly string[];
}

export async function connectOutside(pid: number, mtu: number): Promise<Outside> {
  const { root } = await dockerTree("28");
  const name = `aeon${randomBytes(4).toString("hex")}`;
  const ip = (args: string, where: readonly string[] = []) =>
    run("nsenter", [...where, `--root=${root}`, "/usr/sbin/ip", ...args.split(" ")]);
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
