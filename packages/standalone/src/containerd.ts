import { mkdir, writeFile } from "node:fs/promises";
import { delimiter } from "node:path";
import type { ContainerdBinaries } from "./containerd-binaries.ts";
import {
  containerdConfig,
  containerdPaths,
  type CriSettings,
  type ProxySnapshotter,
} from "./containerd-config.ts";
import { Daemon } from "./daemon.ts";
import { searchPath } from "./environment.ts";
import { errors } from "./errors.ts";
import { cleanFolder, processesOf } from "./leftovers.ts";
import { waitUntilGone } from "./processes.ts";
import { untilReady } from "./ready.ts";
import { run, type RunOptions } from "./run.ts";
import { answersVersion } from "./version-call.ts";

export interface ContainerdOptions {
  readonly binaries: ContainerdBinaries;
  /** Absolute; created when missing. Root, state, socket, configuration and log lie below it. */
  readonly folder: string;
  readonly proxySnapshotters?: readonly ProxySnapshotter[];
  /** Turns the CRI plugin on. */
  readonly cri?: CriSettings;
  /** Lets NRI plugins connect to `nri.sock` in the folder. */
  readonly nri?: boolean;
  /** Added to the environment of containerd and its shims. */
  readonly env?: Readonly<Record<string, string>>;
  /** Words before containerd's command that bring it to where it runs, such as nsenter's; it must become containerd. */
  readonly enter?: readonly string[];
  readonly signal?: AbortSignal;
  /** Released once containerd has ended and its folder is clean, such as the folder itself. */
  readonly owned?: AsyncDisposable;
}

/** A containerd of its own; disposing ends its containers, itself and its mounts, and throws if something stays. */
export interface PrivateContainerd extends AsyncDisposable {
  /** Path of the gRPC socket. */
  readonly address: string;
  readonly folder: string;
  readonly log: string;
  readonly version: string;
  readonly binaries: ContainerdBinaries;
  /** The daemon's process id; undefined while it is down. */
  readonly pid: number | undefined;
  /** Resolves with how the daemon that runs now ends, such as `SIGKILL`. */
  readonly ended: Promise<string>;
  /** Runs the matching `ctr` and answers its standard output. */
  ctr(args: readonly string[], options?: RunOptions): Promise<string>;
  /** Brings the daemon up again after {@link kill} or {@link stop}; containers live on meanwhile. */
  start(): Promise<void>;
  /** Ends the daemon with SIGTERM and leaves containers running. */
  stop(): Promise<void>;
  /** Ends the daemon with SIGKILL and leaves containers running. */
  kill(): Promise<void>;
  /** {@link stop} and {@link start}. */
  restart(): Promise<void>;
}

const readyMs = 60_000;
const stopMs = 10_000;
/** sun_path holds 108 bytes with its end mark; containerd appends `.ttrpc` to its socket's path. */
const maxSocketPath = 107 - ".ttrpc".length;

/**
 * Cleans up what an earlier run left in the folder, starts containerd there and resolves once it answers. Throws
 * `NOT_ROOT`, `FOLDER_PATH_TOO_LONG`, or `CONTAINERD_START_FAILED` with the end of the log.
 */
export async function startContainerd(options: ContainerdOptions): Promise<PrivateContainerd> {
  if (process.getuid?.() !== 0) throw errors.NOT_ROOT("containerd can only be started by root");
  checkPathLength(options.folder);
  await cleanFolder(options.folder, options.binaries.runc);
  await prepare(options);
  const containerd = new Containerd(options);
  try {
    await containerd.start();
    return containerd;
  } catch (error) {
    await containerd[Symbol.asyncDispose]();
    throw error;
  }
}

/** Throws `FOLDER_PATH_TOO_LONG` when containerd's sockets would not fit below the folder. */
export function checkPathLength(folder: string): void {
  const excess = Buffer.byteLength(containerdPaths(folder).socket) - maxSocketPath;
  if (excess > 0)
    throw errors.FOLDER_PATH_TOO_LONG(`${folder} is ${excess} bytes too long to have Unix sockets below it`, {
      details: { folder },
    });
}

async function prepare({
  folder,
  binaries,
  proxySnapshotters = [],
  cri,
  nri,
}: ContainerdOptions): Promise<void> {
  const paths = containerdPaths(folder);
  await mkdir(paths.root, { recursive: true, mode: 0o711 });
  const config = containerdConfig({
    release: releaseOf(binaries.version),
    folder,
    runc: binaries.runc,
    proxySnapshotters,
    architecture: process.arch === "x64" ? "amd64" : process.arch,
    ...(cri && { cri }),
    ...(nri !== undefined && { nri }),
  });
  await writeFile(paths.config, config);
  if (cri) await mkdir(cri.cniConfig ?? `${folder}/cni`, { recursive: true });
}

/** Major and minor number of a containerd version. */
export function releaseOf(version: string): [major: number, minor: number] {
  const [major = 0, minor = 0] = version.split(".").map((part) => Number.parseInt(part, 10));
  return [major, minor];
}

class Containerd implements PrivateContainerd {
  readonly #options: ContainerdOptions;
  #daemon: Daemon | undefined;
  #disposing: Promise<void> | undefined;

  constructor(options: ContainerdOptions) {
    this.#options = options;
  }

  get address(): string {
    return containerdPaths(this.folder).socket;
  }
  get folder(): string {
    return this.#options.folder;
  }
  get log(): string {
    return containerdPaths(this.folder).log;
  }
  get version(): string {
    return this.binaries.version;
  }
  get binaries(): ContainerdBinaries {
    return this.#options.binaries;
  }
  get pid(): number | undefined {
    return this.#daemon?.running ? this.#daemon.pid : undefined;
  }
  get ended(): Promise<string> {
    return this.#daemon?.ended ?? Promise.resolve("never started");
  }

  async ctr(args: readonly string[], options: RunOptions = {}): Promise<string> {
    return (await run(this.binaries.ctr, ["--address", this.address, ...args], options)).stdout;
  }

  async start(): Promise<void> {
    if (this.#daemon?.running) return;
    const { env, signal, folder, binaries, enter = [] } = this.#options;
    const own = ["--config", containerdPaths(folder).config];
    const [first, ...rest] = enter;
    const program = first ?? binaries.containerd;
    const args = first === undefined ? own : [...rest, binaries.containerd, ...own];
    const daemon = await Daemon.start({
      program,
      args,
      env: { ...env, PATH: [...binaries.path, searchPath()].join(delimiter) },
      cwd: folder,
      log: this.log,
    });
    this.#daemon = daemon;
    const failure = await untilReady(daemon, () => answersVersion(this.address, 1000), readyMs, signal);
    if (failure !== undefined)
      throw errors.CONTAINERD_START_FAILED(
        `containerd did not start: ${failure}\n${await daemon.logTail()}`,
        { details: { log: this.log } },
      );
  }

  async stop(): Promise<void> {
    await this.#daemon?.end("SIGTERM", stopMs);
  }

  async kill(): Promise<void> {
    await this.#daemon?.end("SIGKILL", stopMs);
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return (this.#disposing ??= this.#dispose());
  }

  async #dispose(): Promise<void> {
    // Asked kindly first, so that shims clean up after themselves; what stays is ended by force below.
    await this.#removeTasks(AbortSignal.timeout(stopMs)).catch(() => {});
    await this.stop();
    await waitUntilGone(() => processesOf(this.folder), 1000);
    try {
      await cleanFolder(this.folder, this.binaries.runc);
    } finally {
      await this.#options.owned?.[Symbol.asyncDispose]();
    }
  }

  async #removeTasks(signal: AbortSignal): Promise<void> {
    if (!this.#daemon?.running) return;
    const namespaces = lines(await this.ctr(["namespaces", "list", "--quiet"], { signal }));
    for (const namespace of namespaces) {
      const ids = lines(await this.ctr(["--namespace", namespace, "tasks", "list", "--quiet"], { signal }));
      if (ids.length > 0)
        await this.ctr(["--namespace", namespace, "tasks", "delete", "--force", ...ids], { signal });
    }
  }
}

const lines = (text: string): readonly string[] => text.split("\n").filter((line) => line !== "");
