import { join } from "node:path";
import { mkdir, readFile, rename, rm } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { isAeonError } from "@aeon/core";
import type { Client, Task } from "@aeon/containerd";
import type { RuntimeSpec } from "@aeon/oci";
import { errors } from "../errors.ts";
import { requireDindImage } from "../image/require-image.ts";
import { inNamespaces } from "../system/namespace-thread.ts";
import { daemonFlags, writeDaemonFiles } from "./daemon-files.ts";
import { mountDataDisk } from "./data-disk.ts";
import type { DindSettings } from "./dind-settings.ts";
import { dindSpec } from "./dind-spec.ts";
import { FilterControl } from "./filter-process.ts";
import type { MainProcess } from "./main-process.ts";
import { logTail, ping } from "./ping.ts";
import { dindLabels, inside, type MainContainer, type Places } from "./places.ts";

export interface StartRequest {
  /** Seen from the main container's namespace. */
  readonly client: Client;
  readonly main: MainContainer;
  readonly process: MainProcess;
  readonly mainSpec: RuntimeSpec | undefined;
  readonly places: Places;
  readonly settings: DindSettings;
  readonly snapshotter: string;
  readonly imageArchive: string | undefined;
  readonly env: readonly string[];
  /** Resolves when the filter serves; gives the inode of the socket that inner containers get. */
  readonly filter: Promise<{ readonly path: string; readonly inode: string }>;
  readonly signal: AbortSignal;
}

/** Milliseconds until dockerd has to serve. */
const readyMs = 90_000;

/** Makes a DinD container and waits until its dockerd serves. Leaves what it made when it fails: see removeDind. */
export async function startDind(request: StartRequest): Promise<Task> {
  const { client, main, process, mainSpec, places, settings, snapshotter, signal, env } = request;
  await mkdir(places.root, { recursive: true, mode: 0o700 });
  const image = await requireDindImage(client, settings.image, request.imageArchive, signal);
  await Promise.all([
    writeDaemonFiles(places, settings, process),
    mountDataDisk(places, settings.diskLimit, signal),
  ]);
  const spec = dindSpec({ places, main: process, mainSpec, args: daemonFlags(settings), env });
  const container = await client.createContainer(
    places.container,
    {
      image,
      spec,
      snapshotter,
      labels: { [dindLabels.main]: main.id, [dindLabels.key]: places.key },
    },
    { signal },
  );
  const task = await container.newTask({}, { signal });
  const socket = await request.filter;
  await inNamespaces({
    kind: "copy-mounts",
    from: process.pid,
    to: task.pid,
    mounts: [
      { source: "", target: inside.mainRoot, recursive: true },
      {
        source: socket.path.slice(1),
        target: join(inside.filtered, "docker.sock"),
        recursive: false,
        inode: socket.inode,
      },
    ],
  });
  await rm(places.starting, { force: true });
  // Restart policies begin containers as soon as dockerd runs: their files have to be pinned before.
  const { mainRoot, pins } = inside;
  await new FilterControl(places.filterControl).setDaemon({ pid: task.pid, mainRoot, pinFolder: pins });
  await task.start({ signal });
  await untilServing(task, places, signal);
  await rename(places.starting, places.upstream);
  return task;
}

async function untilServing(task: Task, places: Places, signal: AbortSignal): Promise<void> {
  const deadline = Date.now() + readyMs;
  for (;;) {
    const reason = await ping(places.starting);
    if (reason === undefined) return;
    const state = await task.status({ signal }).catch(() => undefined);
    if (state?.state === "running" && Date.now() < deadline) {
      await sleep(20, undefined, { signal });
      continue;
    }
    const said = await logTail(join(places.run, "dockerd.log"));
    throw errors.DIND_DAEMON_FAILED(
      `dockerd ${state?.state === "running" ? `does not serve: ${reason}` : "ended"}; it said: ${said}`,
    );
  }
}

/** Network devices that a process sees. */
export async function linksOf(pid: number): Promise<readonly string[]> {
  const table = await readFile(`/proc/${pid}/net/dev`, "utf8");
  return table
    .split("\n")
    .slice(2)
    .flatMap((line) => (line.includes(":") ? [line.slice(0, line.indexOf(":")).trim()] : []));
}

/** A record or task that is gone already. */
export const isGone = (error: unknown): boolean => isAeonError(error, "not-found");
