import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { containerdPaths } from "./containerd-config.ts";
import { errors } from "./errors.ts";
import { mountsBelow, unmountBelow } from "./mounts.ts";
import { hasFlag, listProcesses, signalProcess, waitUntilGone, type ProcessInfo } from "./processes.ts";
import { run } from "./run.ts";

/** Where runc's shim keeps runc's state, whatever containerd's folders are (containerd's runc options default). */
const runcRoot = "/run/containerd/runc";

/**
 * Ends and removes everything that a private containerd of a folder left behind: the daemon, its containers, shims,
 * their sockets and mounts. Safe on a clean folder. Throws `FOLDER_NOT_CLEAN` naming what would not go.
 */
export async function cleanFolder(folder: string, runc: string): Promise<void> {
  const paths = containerdPaths(folder);
  const own = () => processesOf(folder);
  // The daemon first: it would start or clean up things in between.
  await killAll((await own()).filter(({ args }) => hasFlag(args, "--config", paths.config)));
  const sockets = await shimSockets(paths.state);
  await removeContainers(folder, runc);
  await killAll(await own());
  const processes = await waitUntilGone(own, 5000);
  const failures = await unmountBelow(folder);
  await Promise.all(sockets.map((socket) => rm(socket, { force: true })));
  await Promise.all([paths.socket, `${paths.socket}.ttrpc`].map((socket) => rm(socket, { force: true })));
  // What is in the state folder describes running tasks only, and there are none any more.
  if (failures.length === 0) await rm(paths.state, { recursive: true, force: true });
  const left = [
    ...processes.map(({ pid, args }) => `process ${pid} (${args.join(" ")})`),
    ...failures,
    ...(await mountsBelow(folder)).map((point) => `mount ${point}`),
  ];
  if (left.length > 0) throw errors.FOLDER_NOT_CLEAN(`${folder} is not clean: ${left.join("; ")}`);
}

/** The daemon and the shims of a folder's containerd. */
export async function processesOf(folder: string): Promise<readonly ProcessInfo[]> {
  const { config, socket } = containerdPaths(folder);
  return (await listProcesses()).filter(
    ({ args }) => hasFlag(args, "--config", config) || hasFlag(args, "-address", socket),
  );
}

async function killAll(processes: readonly ProcessInfo[]): Promise<void> {
  for (const { pid } of processes) signalProcess(pid, "SIGKILL");
  const pids = new Set(processes.map(({ pid }) => pid));
  await waitUntilGone(async () => (await listProcesses()).filter(({ pid }) => pids.has(pid)), 5000);
}

/** Kills the containers whose bundle is below the folder, and with them the processes that outlived their shim. */
async function removeContainers(folder: string, runc: string): Promise<void> {
  for (const namespace of await readdir(runcRoot).catch(() => [])) {
    const root = join(runcRoot, namespace);
    for (const id of await readdir(root).catch(() => [])) {
      const state = await readFile(join(root, id, "state.json"), "utf8").catch(() => "");
      if (state.includes(`"bundle=${folder}/`))
        await run(runc, ["--root", root, "delete", "--force", id], { timeoutMs: 10_000 });
    }
  }
}

/** Sockets of shims lie in a folder shared with other containerds; each task's bundle names its own. */
async function shimSockets(state: string): Promise<readonly string[]> {
  const tasks = join(state, "io.containerd.runtime.v2.task");
  const entries = await readdir(tasks, { recursive: true, withFileTypes: true }).catch(() => []);
  const texts = await Promise.all(
    entries
      .filter((entry) => entry.name === "address" || entry.name === "bootstrap.json")
      .map((entry) => readFile(join(entry.parentPath, entry.name), "utf8").catch(() => "")),
  );
  return texts.flatMap((text) => /unix:\/\/(\/run\/containerd\/s\/[0-9a-f]+)/.exec(text)?.[1] ?? []);
}
