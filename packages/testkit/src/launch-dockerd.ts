import { once } from "node:events";
import { open, mkdir, readFile, rm, rmdir, writeFile } from "node:fs/promises";
import { request, type IncomingMessage } from "node:http";
import { createReadStream, globSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { Daemon, fetchPackageTree, run, untilReady } from "@aeon/standalone";
import { dockerdScript } from "./dockerd-script.ts";
import { debianFile, testCache } from "./launch-containerd.ts";
import { temporaryFolder, type TemporaryFolder } from "./temporary-folder.ts";

/** Engine lines, by the Debian suite that has them. */
export const dockerSuites = { "26": "trixie", "28": "forky" } as const;
export type DockerLine = keyof typeof dockerSuites;

export interface DockerdOptions {
  /** Engine line; 26 when absent. */
  readonly line?: DockerLine;
  readonly flags?: readonly string[];
  /** Runs in D's namespaces' first process before dockerd, at every start. */
  readonly beforeDockerd?: (pid: number) => Promise<void>;
}

/** A real dockerd in a root, and namespaces, of its own, as a DinD container beside a main container has them. */
export interface PrivateDockerd extends AsyncDisposable {
  /** Its socket as the host reaches it. */
  readonly socket: string;
  /** First process of its namespaces. */
  readonly pid: number;
  readonly version: string;
  /** Root file system of the engine's package, with `docker` and its plugins. */
  readonly tree: string;
  /** Folder of the main container: what is in it is at `/mainroot` in D. `run`, `secret`, `volume` are mounts. */
  readonly main: string;
  /** The folder behind a mount of the main container. */
  mainMount(name: "run" | "secret" | "volume"): string;
  readonly folder: string;
  readonly cgroup: string;
  /** Ends dockerd alone (SIGKILL) and starts it again in the same namespaces. */
  restartDockerd(): Promise<void>;
  /** Starts dockerd after it was killed from outside. */
  startDockerd(): Promise<void>;
  /** Ends everything and starts it in new namespaces on the same data. */
  replace(): Promise<void>;
  /** Runs a shell script in D's namespaces. */
  inside(script: string): Promise<string>;
  logTail(): Promise<string>;
}

const readyMs = 60_000;
const graceMs = 5000;

/** Files of an engine line with command line and plugins, fetched once per machine. */
export const dockerTree = async (line: DockerLine) =>
  fetchPackageTree({
    cache: testCache,
    suite: dockerSuites[line],
    name: "docker.io",
    with: (
      "docker-cli docker-buildx docker-compose iptables base-files bash coreutils mount util-linux procps grep sed " +
      "findutils xz-utils pigz ca-certificates tini iproute2 git"
    ).split(" "),
  });

/**
 * Starts a dockerd from Debian's packages. It writes no firewall rules, has docker0 in a network namespace of its own,
 * and an image `busybox` with a shell. Takes about 3 s; the first time, packages are downloaded (150 MB).
 */
export async function launchDockerd(options: DockerdOptions = {}): Promise<PrivateDockerd> {
  const { root, version } = await dockerTree(options.line ?? "26");
  const folder = await temporaryFolder("dockerd");
  const daemon = new Dockerd(folder, root, version, options);
  try {
    await daemon.prepare();
    await daemon.start();
    await importBusybox(daemon.socket, daemon.folder);
    return daemon;
  } catch (error) {
    const tail = await daemon.logTail();
    await daemon[Symbol.asyncDispose]();
    throw new Error(`dockerd did not start: ${tail}`, { cause: error });
  }
}

class Dockerd implements PrivateDockerd {
  readonly folder: string;
  readonly tree: string;
  readonly version: string;
  readonly cgroup: string;
  readonly #options: DockerdOptions;
  readonly #owned: TemporaryFolder;
  #daemon: Daemon | undefined;
  #pid = 0;

  constructor(owned: TemporaryFolder, tree: string, version: string, options: DockerdOptions) {
    const folder = owned.path;
    this.#owned = owned;
    this.folder = folder;
    this.tree = tree;
    this.version = version;
    this.#options = options;
    this.cgroup = `/${folder.split("/").at(-1) ?? "aeon"}`;
  }

  get socket(): string {
    return join(this.folder, "host/docker.sock");
  }
  get main(): string {
    return join(this.folder, "main");
  }
  get pid(): number {
    return this.#pid;
  }

  mainMount(name: "run" | "secret" | "volume"): string {
    return join(this.folder, `main-${name}`);
  }

  async prepare(): Promise<void> {
    for (const name of [
      "root",
      "overlay",
      "host",
      "data",
      "main",
      "main/etc",
      "main-run",
      "main-secret",
      "main-volume",
    ])
      await mkdir(join(this.folder, name), { recursive: true });
    await writeFile(join(this.main, "etc/hostname"), "main-container\n");
    await writeFile(join(this.mainMount("secret"), "token"), "pod-secret\n");
    await run("mkfifo", [join(this.folder, "host/go")]);
  }

  async start(): Promise<void> {
    const { folder, tree, cgroup } = this;
    const flags = ["--iptables=false", "--ip6tables=false", ...(this.#options.flags ?? [])];
    const script = join(folder, "start.sh");
    await writeFile(script, dockerdScript({ tree, folder, cgroup, flags }));
    const namespaces = "--mount --pid --net --ipc --uts --fork --kill-child".split(" ");
    this.#daemon = await Daemon.start({
      program: "unshare",
      args: [...namespaces, "/bin/sh", script],
      cwd: "/",
      log: join(folder, "log"),
    });
    // Opening the pipe waits until the script has set everything up and reads it.
    await this.#go(async () => {
      const children = await readFile(
        `/proc/${this.#daemon?.pid}/task/${this.#daemon?.pid}/children`,
        "utf8",
      );
      this.#pid = Number(children.trim().split(" ")[0]);
      await this.#options.beforeDockerd?.(this.#pid);
    });
  }

  async #go(before?: () => Promise<void>): Promise<void> {
    const daemon = this.#daemon;
    if (daemon === undefined) throw new Error("not started");
    const opened = open(join(this.folder, "host/go"), "w");
    const first = await Promise.race([opened, daemon.ended]);
    if (typeof first === "string") {
      // Lets the waiting open() end, which would keep a thread for ever.
      await using reader = await open(join(this.folder, "host/go"), "r+");
      await (await opened).close();
      void reader;
      throw new Error(`it ended with ${first}`);
    }
    try {
      await before?.();
      await first.write("go\n");
    } finally {
      await first.close();
    }
    const failure = await untilReady(daemon, () => answers(this.socket), readyMs);
    if (failure !== undefined) throw new Error(failure);
  }

  async restartDockerd(): Promise<void> {
    await this.inside("kill -9 $(cat /run/docker.pid /var/run/docker.pid 2>/dev/null | head -1)");
    await this.startDockerd();
  }

  async startDockerd(): Promise<void> {
    await rm(this.socket, { force: true });
    await this.#go();
  }

  async replace(): Promise<void> {
    await this.#daemon?.end("SIGKILL", graceMs);
    await rm(this.socket, { force: true });
    await this.start();
  }

  async inside(script: string): Promise<string> {
    const { stdout } = await run("nsenter", [
      "-t",
      String(this.#pid),
      "-m",
      "-p",
      "-n",
      "/bin/sh",
      "-c",
      `export PATH=/usr/sbin:/usr/bin; ${script}`,
    ]);
    return stdout;
  }

  logTail(): Promise<string> {
    return this.#daemon?.logTail() ?? Promise.resolve("");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon?.end("SIGKILL", graceMs);
    await this.#removeCgroups();
    await this.#owned[Symbol.asyncDispose]();
  }

  /** Containers killed with their pid namespace leave theirs behind. */
  async #removeCgroups(): Promise<void> {
    const remove = async (path: string): Promise<void> => {
      for (const entry of readdirSync(path, { withFileTypes: true }))
        if (entry.isDirectory()) await remove(join(path, entry.name));
      await rmdir(path).catch(() => undefined);
    };
    for (const path of globSync([`/sys/fs/cgroup/*${this.cgroup}`, `/sys/fs/cgroup${this.cgroup}`]))
      await remove(path);
  }
}

async function answers(socketPath: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const outgoing = request({ socketPath, path: "/_ping", timeout: 2000 }, (answer) => {
    answer.resume();
    resolve(answer.statusCode === 200);
  });
  outgoing.on("error", () => resolve(false)).end();
  return promise;
}

/** Image `busybox:latest` with a static busybox and links for its commands. */
async function importBusybox(socketPath: string, folder: string): Promise<void> {
  const root = join(folder, "busybox");
  await mkdir(join(root, "bin"), { recursive: true });
  await mkdir(join(root, "etc"));
  await mkdir(join(root, "tmp"));
  await writeFile(join(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n");
  const program = join(root, "bin/busybox");
  await run("cp", [await debianFile("busybox-static", "bin/busybox"), program]);
  await run("chroot", [root, "/bin/busybox", "--install", "-s", "/bin"]);
  const tar = join(folder, "busybox.tar");
  await run("tar", ["-C", root, "-cf", tar, "."]);
  const path = `/images/create?fromSrc=-&repo=busybox&tag=latest&changes=${encodeURIComponent('CMD ["sh"]')}`;
  const outgoing = request({
    socketPath,
    method: "POST",
    path,
    headers: { "content-type": "application/x-tar" },
  });
  createReadStream(tar).pipe(outgoing);
  const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
  answer.resume();
  await once(answer, "end");
  if (answer.statusCode !== 200) throw new Error(`the image cannot be imported: ${answer.statusCode}`);
  await rm(root, { recursive: true });
}
