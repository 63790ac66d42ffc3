import { closeSync, constants, openSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { finished, type Readable, type Writable } from "node:stream";
import { linux } from "@aeon/core";
import { errors } from "../errors.ts";

/** What a process reads and writes. A stream left out is /dev/null. */
export interface StdioOptions {
  /** `pipe` gives `process.stdin` to write to. */
  readonly stdin?: Readable | "pipe";
  /** `pipe` gives `process.stdout` to read from; a stream is written to and not ended. */
  readonly stdout?: Writable | "pipe";
  readonly stderr?: Writable | "pipe";
  /** A pseudo terminal: both outputs come on stdout. As the container's spec says when absent. */
  readonly terminal?: boolean;
}

/** Paths of the named pipes as containerd's calls take them; empty for none. */
export interface StdioPaths {
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
}

const names = ["stdin", "stdout", "stderr"] as const;
type StdioName = (typeof names)[number];

/** The named pipes of one process in a folder of their own. */
export class Stdio implements AsyncDisposable {
  readonly paths: StdioPaths;
  readonly stdin: Writable | undefined;
  readonly stdout: Readable | undefined;
  readonly stderr: Readable | undefined;
  /** Resolves when everything the process wrote has been passed on; `pipe` outputs are their reader's business. */
  readonly drained: Promise<unknown>;
  readonly #folder: string;
  readonly #sockets: readonly Socket[];
  /** Keeps the pipe open on the reading side for as long as input comes. */
  #hold: number | undefined;

  private constructor(
    folder: string,
    options: StdioOptions,
    sockets: Readonly<Partial<Record<StdioName, Socket>>>,
    hold: number | undefined,
  ) {
    this.#hold = hold;
    // The runc shim takes no output at all or every output, so what nobody wants goes to /dev/null.
    const unused = { stdin: "", stdout: "/dev/null", stderr: options.terminal === true ? "" : "/dev/null" };
    const path = (name: StdioName): string => {
      if (sockets[name]) return join(folder, name);
      return folder === "" ? "" : unused[name];
    };
    this.#folder = folder;
    this.paths = {
      stdin: path("stdin"),
      stdout: path("stdout"),
      stderr: path("stderr"),
      terminal: options.terminal ?? false,
    };
    this.stdin = sockets.stdin;
    this.stdout = sockets.stdout;
    this.stderr = sockets.stderr;
    this.#sockets = Object.values(sockets);
    const read = [options.stdout, options.stderr].map((target, index) =>
      target === "pipe" ? undefined : [sockets.stdout, sockets.stderr][index],
    );
    this.drained = Promise.all(read.map(ended));
  }

  /** Makes the pipes that the options ask for in a folder below `parent`. Throws `STDIO_INVALID`. */
  static async open(options: StdioOptions, parent = tmpdir()): Promise<Stdio> {
    if (options.terminal === true && options.stderr !== undefined)
      throw errors.STDIO_INVALID("a process with a terminal has no standard error of its own");
    const wanted = names.filter((name) => options[name] !== undefined);
    const folder = wanted.length === 0 ? "" : await mkdtemp(join(parent, "aeon-io-"));
    const sockets: Partial<Record<StdioName, Socket>> = {};
    let hold: number | undefined;
    try {
      for (const name of wanted) {
        const path = join(folder, name);
        linux.makeFifoSync(path, 0o600);
        if (name === "stdin") hold = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
        sockets[name] = openFifo(path, name === "stdin");
      }
    } catch (error) {
      for (const socket of Object.values(sockets)) socket.destroy();
      if (hold !== undefined) closeSync(hold);
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
    connect(options, sockets);
    return new Stdio(folder, options, sockets, hold);
  }

  /**
   * From now on the process sees the end of the input. Not before all input is in the pipe: the shim may open its
   * end after the process has started, and a pipe without a reader refuses what is written.
   */
  showInputEnd(): void {
    if (this.#hold !== undefined) closeSync(this.#hold);
    this.#hold = undefined;
  }

  /** Removes the pipes of an ended process; output not yet read can still be. */
  async release(): Promise<void> {
    this.stdin?.destroy();
    this.showInputEnd();
    await this.#remove();
  }

  /** Closes and removes the pipes; unread output is lost. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.showInputEnd();
    await this.#remove();
  }

  async #remove(): Promise<void> {
    if (this.#folder !== "") await rm(this.#folder, { recursive: true, force: true });
  }
}

/** Opens one end without waiting for the other. A reader sees no end of file before the first writer came. */
function openFifo(path: string, writing: boolean): Socket {
  const flags = constants.O_NONBLOCK | (writing ? constants.O_WRONLY : constants.O_RDONLY);
  return new Socket({ fd: openSync(path, flags), readable: !writing, writable: writing });
}

function connect(options: StdioOptions, sockets: Readonly<Partial<Record<StdioName, Socket>>>): void {
  const { stdin, stdout, stderr } = options;
  for (const socket of Object.values(sockets)) socket.on("error", () => {});
  if (sockets.stdin && stdin !== undefined && stdin !== "pipe") stdin.pipe(sockets.stdin);
  if (stdout !== undefined && stdout !== "pipe") sockets.stdout?.pipe(stdout, { end: false });
  if (stderr !== undefined && stderr !== "pipe") sockets.stderr?.pipe(stderr, { end: false });
}

function ended(socket: Socket | undefined): Promise<void> {
  if (socket === undefined) return Promise.resolve();
  return new Promise((resolve) => finished(socket, { writable: false }, () => resolve()));
}
