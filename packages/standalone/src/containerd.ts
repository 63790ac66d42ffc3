import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, open, readFile, writeFile } from "node:fs/promises";
import { delimiter } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { errorMessage } from "@aeon/core";
import type { ContainerdBinaries } from "./containerd-binaries.ts";
import {
  containerdConfig,
  containerdPaths,
  type CriSettings,
  type ProxySnapshotter,
} from "./containerd-config.ts";
import { errors } from "./errors.ts";
import { cleanFolder, processesOf } from "./leftovers.ts";
import { waitUntilGone } from "./processes.ts";
import { run, type RunOptions } from "./run.ts";
import { answersVersion } from "./version-call.ts";

export interface ContainerdOptions {
  readonly binaries: ContainerdBinaries;
  /** Absolute; created when missing. Root, state, socket, configuration and log lie below it. */
  readonly folder: string;
  readonly proxySnapshotters?: readonly ProxySnapshotter[];
  /** Turns the CRI plugin on. */
  readonly cri?: CriSettings;
  /** Added to the environment of containerd and its shims. */
  readonly env?: Readonly<Record<string, string>>;
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
  const { socket } = containerdPaths(options.folder);
  if (Buffer.byteLength(socket) > maxSocketPath)
    throw errors.FOLDER_PATH_TOO_LONG(`${options.folder} is too long for a folder with Unix sockets in it`);
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

async function prepare({ folder, binaries, proxySnapshotters = [], cri }: ContainerdOptions): Promise<void> {
  const paths = containerdPaths(folder);
  await mkdir(paths.root, { recursive: true, mode: 0o711 });
  const config = containerdConfig({
    release: releaseOf(binaries.version),
    folder,
    runc: binaries.runc,
    proxySnapshotters,
    architecture: process.arch === "x64" ? "amd64" : process.arch,
    ...(cri && { cri }),
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
  #child: ChildProcess | undefined;
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
    return this.#child?.pid;
  }

  async ctr(args: readonly string[], options: RunOptions = {}): Promise<string> {
    return (await run(this.binaries.ctr, ["--address", this.address, ...args], options)).stdout;
  }

  async start(): Promise<void> {
    if (this.#child) return;
    await using log = await open(this.log, "a");
    const child = spawn(this.binaries.containerd, ["--config", containerdPaths(this.folder).config], {
      // A session of its own: Ctrl-C at the terminal reaches only the program that stops it in order.
      detached: true,
      stdio: ["ignore", log.fd, log.fd],
      env: this.#environment(),
      cwd: this.folder,
    });
    this.#child = child;
    const ended = Promise.withResolvers<Error>();
    child.once("error", ended.resolve);
    child.once("exit", (code, signal) => {
      if (this.#child === child) this.#child = undefined;
      ended.resolve(new Error(`it ended with ${signal ?? code}`));
    });
    await this.#ready(ended.promise);
  }

  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }

  async kill(): Promise<void> {
    await this.#end("SIGKILL");
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

  #environment(): NodeJS.ProcessEnv {
    // oxlint-disable-next-line node/no-process-env -- a child inherits the environment, this is not configuration
    const { NOTIFY_SOCKET: _, PATH = "/usr/sbin:/usr/bin:/sbin:/bin", ...rest } = process.env;
    return {
      ...rest,
      ...this.#options.env,
      PATH: [...this.binaries.path, PATH].join(delimiter),
    };
  }

  async #ready(ended: Promise<Error>): Promise<void> {
    const { signal } = this.#options;
    const stop = new AbortController();
    const watching = AbortSignal.any([stop.signal, ...(signal ? [signal] : [])]);
    const failure = await Promise.race([
      ended,
      untilAnswers(this.address, watching),
      sleep(readyMs, new Error(`it did not answer within ${readyMs / 1000} s`), {
        signal: watching,
        ref: false,
      }).catch(() => undefined),
    ]).finally(() => stop.abort(new Error("containerd's start was decided")));
    signal?.throwIfAborted();
    if (failure === undefined) return;
    const log = await readFile(this.log, "utf8").catch(errorMessage);
    const tail = log.trimEnd().split("\n").slice(-5).join("\n");
    throw errors.CONTAINERD_START_FAILED(`containerd did not start: ${failure.message}\n${tail}`, {
      cause: failure,
      details: { log: this.log },
    });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill(signal);
    const hard = setTimeout(() => child.kill("SIGKILL"), stopMs);
    await exited;
    clearTimeout(hard);
  }

  async #removeTasks(signal: AbortSignal): Promise<void> {
    if (this.#child === undefined) return;
    const namespaces = lines(await this.ctr(["namespaces", "list", "--quiet"], { signal }));
    for (const namespace of namespaces) {
      const ids = lines(await this.ctr(["--namespace", namespace, "tasks", "list", "--quiet"], { signal }));
      if (ids.length > 0)
        await this.ctr(["--namespace", namespace, "tasks", "delete", "--force", ...ids], { signal });
    }
  }
}

const lines = (text: string): readonly string[] => text.split("\n").filter((line) => line !== "");

/** Resolves when the daemon answers a call. Asks again every few milliseconds: a socket gives no event. */
async function untilAnswers(address: string, signal: AbortSignal): Promise<undefined> {
  while (!signal.aborted) {
    if (await answersVersion(address, 1000)) return;
    await sleep(15);
  }
}
