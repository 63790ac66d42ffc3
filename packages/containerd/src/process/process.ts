import type { Readable, Writable } from "node:stream";
import { processes, tasks } from "@aeon/proto";
import { isAeonError } from "@aeon/core";
import { Backoff } from "../backoff.ts";
import type { Connection } from "../connection.ts";
import type { CallOptions, GrpcClient } from "../grpc/service-types.ts";
import { nanosOf, required } from "../values.ts";
import { signalNumber } from "./signals.ts";
import type { Stdio } from "./stdio.ts";

export interface ExitStatus {
  /** Exit code; 128 plus the signal's number for a killed process. */
  readonly code: number;
  /** Nanoseconds since the epoch. */
  readonly at: bigint;
}

export type ProcessState = "unknown" | "created" | "running" | "stopped" | "paused" | "pausing";

export interface ProcessStatus {
  readonly state: ProcessState;
  readonly pid: number;
  /** Meaningful once stopped. */
  readonly exitCode: number;
}

const states: Readonly<Record<processes.Status, ProcessState>> = {
  [processes.Status.UNKNOWN]: "unknown",
  [processes.Status.CREATED]: "created",
  [processes.Status.RUNNING]: "running",
  [processes.Status.STOPPED]: "stopped",
  [processes.Status.PAUSED]: "paused",
  [processes.Status.PAUSING]: "pausing",
};

/** Milliseconds that output still under way gets after a process was deleted. */
const drainMs = 5000;

/** A process in a container: the init process of a task, or one started with `exec`. */
export class ContainerProcess implements AsyncDisposable {
  readonly containerId: string;
  /** Empty for the init process. */
  readonly execId: string;
  protected readonly connection: Connection;
  protected readonly api: GrpcClient<typeof tasks.Tasks>;
  readonly #stdio: Stdio | undefined;
  #pid: number;
  #isStarted = false;
  #isInputOver = false;
  #inputEnd: Promise<void> | undefined;

  constructor(
    connection: Connection,
    facts: {
      readonly containerId: string;
      readonly execId: string;
      readonly pid: number;
      readonly stdio: Stdio | undefined;
    },
  ) {
    this.connection = connection;
    this.api = connection.service(tasks.Tasks);
    this.containerId = facts.containerId;
    this.execId = facts.execId;
    this.#pid = facts.pid;
    this.#stdio = facts.stdio;
    // Short input may have gone into the pipe while the process was being set up.
    this.#isInputOver = this.stdin?.writableFinished ?? false;
    this.stdin?.once("finish", () => {
      this.#isInputOver = true;
      this.#endInput();
    });
  }

  /** As the host counts; 0 before the start of an exec process. */
  get pid(): number {
    return this.#pid;
  }

  /** Present when opened with `pipe` or a stream. */
  get stdin(): Writable | undefined {
    return this.#stdio?.stdin;
  }

  /** Present when opened with `pipe` or a stream. */
  get stdout(): Readable | undefined {
    return this.#stdio?.stdout;
  }

  /** Present when opened with `pipe` or a stream. */
  get stderr(): Readable | undefined {
    return this.#stdio?.stderr;
  }

  /** Starts the process; resolves when it runs. */
  async start(options?: CallOptions): Promise<void> {
    this.#pid = (await this.api.start(this.ids, options)).pid;
    this.#isStarted = true;
    this.#endInput();
  }

  /** Waits for the exit, through restarts of containerd too. The record stays until `delete`. */
  async wait(options: CallOptions = {}): Promise<ExitStatus> {
    const backoff = new Backoff();
    for (;;) {
      try {
        const { exitStatus, exitedAt } = await this.api.wait(this.ids, options);
        return { code: exitStatus, at: nanosOf(exitedAt) };
      } catch (error) {
        if (!isAeonError(error, "unavailable")) throw error;
        await backoff.wait(options.signal);
      }
    }
  }

  /** Sends a signal. Fails with `not-found` when the process has ended. */
  async kill(signal: NodeJS.Signals | number = "SIGTERM", options?: CallOptions): Promise<void> {
    await this.api.kill({ ...this.ids, signal: signalNumber(signal) }, options);
  }

  async status(options?: CallOptions): Promise<ProcessStatus> {
    const reply = await this.api.get(this.ids, options);
    const { status, pid, exitStatus } = required(reply.process, "process");
    return { state: states[status] ?? "unknown", pid, exitCode: exitStatus };
  }

  /** Columns and rows of the terminal. */
  async resize(width: number, height: number, options?: CallOptions): Promise<void> {
    await this.api.resizePty({ ...this.ids, width, height }, options);
  }

  /** Tells the process that no more input comes. Ending `stdin` does this by itself. */
  async closeStdin(options?: CallOptions): Promise<void> {
    await this.api.closeIO({ ...this.ids, stdin: true }, options);
  }

  /** Removes the exited process and waits until its output has reached the streams it was given. */
  async delete(options?: CallOptions): Promise<ExitStatus> {
    const { exitStatus, exitedAt } =
      this.execId === ""
        ? await this.api.delete({ containerId: this.containerId }, options)
        : await this.api.deleteProcess(this.ids, options);
    await this.#drain();
    return { code: exitStatus, at: nanosOf(exitedAt) };
  }

  /** Lets go of the stdio pipes; the process itself goes on. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stdio?.[Symbol.asyncDispose]();
    await this.#inputEnd;
  }

  protected get ids(): { containerId: string; execId: string } {
    return { containerId: this.containerId, execId: this.execId };
  }

  /** The shim closes the process's end of the input only when told, and only for a process that runs. */
  #endInput(): void {
    if (!this.#isStarted || !this.#isInputOver) return;
    this.#inputEnd ??= this.closeStdin()
      .catch(() => {})
      .finally(() => this.#stdio?.showInputEnd());
  }

  async #drain(): Promise<void> {
    if (this.#stdio === undefined) return;
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, drainMs);
    await Promise.race([this.#stdio.drained, late.promise]);
    clearTimeout(timer);
    await this.#stdio.release();
    await this.#inputEnd;
  }
}
