import { mkdir, rename, rm } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { Client, Container, Task } from "@aeon/containerd";
import type { RuntimeSpec } from "@aeon/oci";
import { errors } from "../errors.ts";
import { requireDindImage } from "../image/require-image.ts";
import { inNamespaces } from "../system/namespace-thread.ts";
import { daemonFlags, writeDaemonFiles, type Owner } from "./daemon-files.ts";
import { mountDataDisk } from "./data-disk.ts";
import { delegateCgroups } from "./delegate-cgroups.ts";
import type { DindSettings } from "./dind-settings.ts";
import { allowedBelow } from "./device-cgroup.ts";
import { deviceRulesOf, dindSpec } from "./dind-spec.ts";
import { FilterControl } from "./filter-control.ts";
import type { FilterStart } from "./filter-keeper.ts";
import { cdiSpecOf, driverCopies, driverFilesOf } from "./main-devices.ts";
import { dataMountCopy, mainMountsCopy } from "./main-mounts.ts";
import type { MainProcess } from "./main-process.ts";
import { logTail, ping } from "./ping.ts";
import { dindLabels, inside, type MainContainer, type Places } from "./places.ts";
import { mappedRoot, type Isolation } from "./user-namespace.ts";

export interface StartRequest {
  /** Seen from the main container's namespace. */
  readonly client: Client;
  readonly main: MainContainer;
  readonly process: MainProcess;
  readonly mainSpec: RuntimeSpec | undefined;
  readonly places: Places;
  readonly settings: DindSettings;
  readonly isolation: Isolation;
  readonly snapshotter: string;
  readonly imageArchive: string | undefined;
  readonly env: readonly string[];
  readonly filter: Promise<FilterStart>;
  readonly signal: AbortSignal;
}

/** Milliseconds until dockerd has to serve, and between two looks whether it does. */
const readyMs = 90_000;
const lookMs = 10;

/** Makes a DinD container and waits until its dockerd serves. Leaves what it made when it fails: see removeDind. */
export async function startDind(request: StartRequest): Promise<Task> {
  const { process, mainSpec, places, settings, isolation, signal } = request;
  const drivers = driverFilesOf(process.pid);
  await mkdir(places.root, { recursive: true, mode: 0o700 });
  const [container] = await allDone(
    createDind(request),
    writeDaemonFiles(places, settings, process, ownerOf(isolation), {
      drivers,
      spec: cdiSpecOf(mainSpec, drivers),
    }),
    mountDataDisk(places, settings.diskLimit, signal),
    rm(places.starting, { force: true }),
    rm(places.daemonLog, { force: true }),
  );
  const [task, { socket, ready }] = await allDone(container.newTask({}, { signal }), request.filter);
  await allDone(inNamespaces(mainMountsCopy(process.pid, task.pid, socket, driverCopies(drivers))), ready);
  if (isolation.kind === "user-namespace") {
    await inNamespaces(dataMountCopy(places.data, task.pid, isolation.pid));
    await delegateCgroups(task.pid, places.container, ownerOf(isolation));
  }
  // Restart policies begin containers as soon as dockerd runs: their files have to be pinned before.
  const { mainRoot, pins } = inside;
  await new FilterControl(places.filterControl).setDaemon({ pid: task.pid, mainRoot, pinFolder: pins });
  await task.start({ signal });
  await untilServing(task, places, signal);
  await rename(places.starting, places.upstream);
  return task;
}

const ownerOf = (isolation: Isolation): Owner =>
  isolation.kind === "user-namespace"
    ? { uid: mappedRoot(isolation.uids), gid: mappedRoot(isolation.gids) }
    : { uid: 0, gid: 0 };

/** Waits for all, also when one fails: what is under way must not meet the clean-up. */
async function allDone<T extends readonly Promise<unknown>[]>(
  ...work: T
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(work);
  return Promise.all(work);
}

async function createDind(request: StartRequest): Promise<Container> {
  const { client, main, process, mainSpec, places, settings, isolation, snapshotter, signal, env } = request;
  const [image, deviceRules] = await allDone(
    requireDindImage(client, settings.image, request.imageArchive, signal),
    allowedBelow(process.pid, deviceRulesOf(mainSpec)),
  );
  const spec = dindSpec({
    places,
    main: process,
    mainSpec,
    args: daemonFlags(settings),
    env,
    deviceRules,
    isolation,
  });
  const labels = { [dindLabels.main]: main.id, [dindLabels.key]: places.key };
  return client.createContainer(places.container, { image, spec, snapshotter, labels }, { signal });
}

async function untilServing(task: Task, places: Places, signal: AbortSignal): Promise<void> {
  const stop = new AbortController();
  let hasEnded = false;
  task
    .wait({ signal: AbortSignal.any([signal, stop.signal]) })
    .then(() => (hasEnded = true))
    .catch(() => {});
  const deadline = Date.now() + readyMs;
  try {
    for (;;) {
      const reason = await ping(places.starting);
      if (reason === undefined) return;
      if (!hasEnded && Date.now() < deadline) {
        await sleep(lookMs, undefined, { signal });
        continue;
      }
      const said = await logTail(places.daemonLog);
      throw errors.DIND_DAEMON_FAILED(
        `dockerd ${hasEnded ? "ended" : `does not serve: ${reason}`}; it said: ${said}`,
      );
    }
  } finally {
    stop.abort();
  }
}
