import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { launchDockerd, type DockerdOptions, type PrivateDockerd } from "@aeon/testkit";
import { readyLine, type FilterConfig, type FilterStatus } from "../../src/index.ts";
import { call, type Answer } from "./call.ts";

export const filterProgram = [
  "--conditions=@aeon/source",
  join(import.meta.dirname, "../../src/filter/main.ts"),
];

/** A real dockerd with a filter process in front of it, as a pod has them. */
export interface FilteredDocker extends AsyncDisposable {
  readonly dockerd: PrivateDockerd;
  /** The filtered socket, in the main container's /run. */
  readonly socket: string;
  readonly filterPid: number;
  readonly configFile: string;
  readonly auditFile: string;
  /** A request through the filter. */
  api(method: string, path: string, body?: unknown): Promise<Answer>;
  /** A request straight to dockerd. */
  raw(method: string, path: string, body?: unknown): Promise<Answer>;
  control(method: string, path: string, body?: unknown): Promise<Answer>;
  /** Puts dockerd into new namespaces; `before` runs when they are there, before dockerd. */
  replaceDocker(before: (pid: number) => Promise<void>): Promise<void>;
  status(): Promise<FilterStatus>;
  /** Resolves when the first filter process has ended. */
  firstEnded(): Promise<void>;
  /** Writes the configuration anew and tells the filter. */
  configure(change: Partial<FilterConfig>): Promise<void>;
}

export interface FilteredDockerOptions extends DockerdOptions {
  readonly config?: Partial<FilterConfig>;
  /** Arguments of Node that start the filter; its source when absent. */
  readonly program?: readonly string[];
}

/** Starts both; disposing ends both and checks that nothing stays. */
export async function launchFilteredDocker(options: FilteredDockerOptions = {}): Promise<FilteredDocker> {
  let started: Pod | undefined;
  const dockerd = await launchDockerd({
    ...options,
    beforeDockerd: async (pid) => started?.beforeDockerd(pid),
  });
  const pod = new Pod(dockerd, options.config ?? {}, options.program ?? filterProgram);
  started = pod;
  try {
    await pod.start();
    return pod;
  } catch (error) {
    await pod[Symbol.asyncDispose]();
    throw error;
  }
}

class Pod implements FilteredDocker {
  readonly dockerd: PrivateDockerd;
  readonly #program: readonly string[];
  #config: FilterConfig;
  #child: ChildProcess | undefined;
  #output = "";
  #before: ((pid: number) => Promise<void>) | undefined;

  constructor(dockerd: PrivateDockerd, config: Partial<FilterConfig>, program: readonly string[]) {
    this.#program = program;
    this.dockerd = dockerd;
    const { folder } = dockerd;
    this.#config = {
      version: 1,
      container: { id: "main", namespace: "default" },
      listeners: [3],
      upstream: dockerd.socket,
      daemon: { pid: dockerd.pid, mainRoot: "/mainroot", pinFolder: "/run/aeon/pins" },
      socketPaths: ["/run/docker.sock", "/var/run/docker.sock"],
      network: { policy: "bridge" },
      cgroupParent: dockerd.cgroup,
      stateFolder: join(folder, "filter-state"),
      auditFile: join(folder, "audit"),
      controlSocket: join(folder, "control.sock"),
      ...config,
    };
  }

  get socket(): string {
    return join(this.dockerd.mainMount("run"), "docker.sock");
  }
  get configFile(): string {
    return join(this.dockerd.folder, "filter.json");
  }
  get auditFile(): string {
    return this.#config.auditFile ?? "";
  }
  get filterPid(): number {
    return this.#child?.pid ?? 0;
  }

  async beforeDockerd(pid: number): Promise<void> {
    await this.#before?.(pid);
  }

  async start(): Promise<void> {
    await mkdir(this.#config.stateFolder, { recursive: true });
    await writeFile(this.configFile, JSON.stringify(this.#config));
    const door = createServer();
    // Closing removes the name it was made under, so that it gets its real one afterwards.
    door.listen(`${this.socket}.new`);
    await once(door, "listening");
    await rename(`${this.socket}.new`, this.socket);
    const fd: unknown = Reflect.get(Reflect.get(door, "_handle") as object, "fd");
    const child = spawn(process.execPath, [...this.#program, this.configFile], {
      stdio: ["ignore", "pipe", "pipe", fd as number],
    });
    this.#child = child;
    door.close();
    child.stderr?.on("data", (chunk: Buffer) => (this.#output += chunk.toString()));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    child.stdout?.on("data", (chunk: Buffer) => {
      if (chunk.toString().includes(readyLine)) resolve();
    });
    child.on("exit", (code, signal) =>
      reject(new Error(`the filter ended (${code ?? signal}): ${this.#output}`)),
    );
    await promise;
  }

  api(method: string, path: string, body?: unknown): Promise<Answer> {
    return call(this.socket, method, path, body);
  }
  raw(method: string, path: string, body?: unknown): Promise<Answer> {
    return call(this.dockerd.socket, method, path, body);
  }
  control(method: string, path: string, body?: unknown): Promise<Answer> {
    return call(this.#config.controlSocket, method, path, body);
  }
  async replaceDocker(before: (pid: number) => Promise<void>): Promise<void> {
    this.#before = before;
    await this.dockerd.replace();
  }
  async status(): Promise<FilterStatus> {
    return (await this.control("GET", "/status")).json as FilterStatus;
  }

  async firstEnded(): Promise<void> {
    if (this.#child !== undefined && this.#child.exitCode === null) await once(this.#child, "exit");
  }

  async configure(change: Partial<FilterConfig>): Promise<void> {
    this.#config = { ...this.#config, ...change };
    await writeFile(this.configFile, JSON.stringify(this.#config));
    const { status, text } = await this.control("POST", "/reload");
    if (status !== 200) throw new Error(text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.control("POST", "/stop").catch(() => undefined);
    if (this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null) {
      const hard = setTimeout(() => this.#child?.kill("SIGKILL"), 5000);
      await once(this.#child, "exit");
      clearTimeout(hard);
    }
    await this.dockerd[Symbol.asyncDispose]();
    if (this.#output !== "") throw new Error(`the filter said: ${this.#output}`);
  }
}
