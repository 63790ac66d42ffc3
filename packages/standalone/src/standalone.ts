import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { logTail } from "./daemon.ts";
import { endLeftoverAgents, startAgent, type AgentProcess } from "./agent-process.ts";
import { buildBusyboxImage, busyboxName } from "./busybox-image.ts";
import {
  findContainerd,
  onPath,
  type ContainerdBinaries,
  type ContainerdLine,
} from "./containerd-binaries.ts";
import { checkPathLength, releaseOf, startContainerd, type PrivateContainerd } from "./containerd.ts";
import { errors } from "./errors.ts";
import { tryLock } from "./file-lock.ts";
import { writeLaunchers } from "./launcher-scripts.ts";
import { cleanFolder } from "./leftovers.ts";
import { unmountBelow } from "./mounts.ts";
import { standalonePaths } from "./standalone-paths.ts";
import { bundlePrograms } from "./workspace-programs.ts";

/** Tells the user what is being done. */
export interface Progress {
  /** Runs one step and shows how it went; `describe` words its result. */
  step<T>(
    title: string,
    work: (note: (message: string) => void) => Promise<T>,
    describe?: (result: T) => string,
  ): Promise<T>;
}

export interface StandaloneOptions {
  /** Absolute folder of everything. */
  readonly root: string;
  /** Cache of downloaded packages. */
  readonly cache: string;
  /** The checkout whose agent and aeonctl run. */
  readonly workspace: string;
  /** PATH's containerd when there is one, else release 2.1, when absent. */
  readonly line?: ContainerdLine;
  readonly searchPath?: string;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** A containerd with aeon as its default snapshotter, both healthy; disposing stops all and leaves only files. */
export interface Standalone extends AsyncDisposable {
  readonly containerd: PrivateContainerd;
  readonly agent: AgentProcess;
  /** Name of an image that is there to try. */
  readonly image: string;
  /** Resolves with a sentence and the end of the log when one of the two ends on its own. */
  readonly broken: Promise<string>;
}

/** Starts everything below one folder. Throws `NOT_ROOT`, `FOLDER_IN_USE`, or what the first failing step throws. */
export async function startStandalone(options: StandaloneOptions): Promise<Standalone> {
  if (process.getuid?.() !== 0)
    throw errors.NOT_ROOT(`containerd needs root, and this is user ${process.getuid?.()}`);
  checkPathLength(standalonePaths(options.root).containerd);
  await using stack = new AsyncDisposableStack();
  stack.use(await lockFolder(options.root));
  const { progress, signal, root } = options;
  const paths = standalonePaths(root);
  const binaries = await progress.step(
    "containerd and runc found",
    (note) => findBinaries(options, note),
    describeBinaries,
  );
  await progress.step("folder clean", () => cleanUp(root, binaries.runc));
  const { workspace, cache } = options;
  const programs = await progress.step("agent and aeonctl bundled", () =>
    bundlePrograms({ workspace, target: paths.programs, lock: join(cache, "bundle.lock"), signal }),
  );
  const image = await progress.step("busybox image built", (note) =>
    buildBusyboxImage({ cache, file: paths.image, signal, onProgress: note }),
  );
  const agent = stack.use(
    await progress.step(
      "agent started",
      () => startAgent(root, programs.agent, signal),
      ({ pid }) => `pid ${pid}`,
    ),
  );
  const containerd = stack.use(
    await progress.step(
      "containerd started",
      () => startWithAeon(options, binaries),
      ({ pid }) => `pid ${pid}`,
    ),
  );
  await progress.step("both healthy", () => agent.ready(signal));
  await progress.step("image imported", () => importImage(containerd, image.file, signal));
  await writeLaunchers(root, binaries.ctr, programs.aeonctl);
  const owned = stack.move();
  return {
    containerd,
    agent,
    image: busyboxName,
    broken: Promise.race([
      agent.ended.then(async (how) => `the agent ended with ${how}:\n${await agent.logTail()}`),
      containerd.ended.then(async (how) => `containerd ended with ${how}:\n${await logTail(containerd.log)}`),
    ]),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Holds the folder for this process and records its id for whoever comes second. */
async function lockFolder(root: string): Promise<AsyncDisposable> {
  await mkdir(root, { recursive: true, mode: 0o711 });
  const { lock: path } = standalonePaths(root);
  const lock = await tryLock(path);
  if (lock === undefined) {
    const pid = (await readFile(path, "utf8")).trim();
    throw errors.FOLDER_IN_USE(
      `aeon already runs on ${root}${pid && ` (process ${pid})`}; stop it, or choose another folder with --root`,
      { details: { root } },
    );
  }
  await writeFile(path, `${process.pid}\n`);
  return lock;
}

async function findBinaries(
  { line, searchPath, cache, signal }: StandaloneOptions,
  onProgress: (message: string) => void,
): Promise<ContainerdBinaries> {
  const chosen = line ?? ((await onPath("containerd", searchPath)) ? "path" : "2.1");
  return findContainerd({
    line: chosen,
    cache,
    signal,
    onProgress,
    ...(searchPath !== undefined && { searchPath }),
  });
}

const describeBinaries = ({ version, containerd }: ContainerdBinaries): string =>
  `${version} in ${dirname(containerd)}`;

/** A run that was killed leaves containers, mounts and processes; they are ended before anything starts. */
async function cleanUp(root: string, runc: string): Promise<void> {
  const paths = standalonePaths(root);
  await cleanFolder(paths.containerd, runc);
  await endLeftoverAgents(root);
  const failures = await unmountBelow(root);
  if (failures.length > 0) throw errors.FOLDER_NOT_CLEAN(`${root} is not clean: ${failures.join("; ")}`);
  await rm(paths.run, { recursive: true, force: true });
}

function startWithAeon(
  { root, signal }: StandaloneOptions,
  binaries: ContainerdBinaries,
): Promise<PrivateContainerd> {
  const paths = standalonePaths(root);
  return startContainerd({
    binaries,
    folder: paths.containerd,
    signal,
    proxySnapshotters: [
      {
        name: "aeon",
        address: paths.snapshotterSocket,
        root: paths.snapshots,
        // Containers in a user namespace: containerd 2 maps ids when it mounts, older ones need a copy of the image.
        ...(releaseOf(binaries.version)[0] >= 2 && { capabilities: ["remap-ids"] }),
      },
    ],
    cri: { snapshotter: "aeon" },
  });
}

async function importImage(containerd: PrivateContainerd, file: string, signal: AbortSignal): Promise<void> {
  await containerd.ctr(["images", "import", "--snapshotter", "aeon", file], { signal });
  // Clients that name no snapshotter take the namespace's default.
  await containerd.ctr(["namespaces", "label", "default", "containerd.io/defaults/snapshotter=aeon"], {
    signal,
  });
}
