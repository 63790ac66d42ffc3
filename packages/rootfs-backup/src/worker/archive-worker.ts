import { spawn } from "node:child_process";
import { constants, setPriority } from "node:os";
import { fileURLToPath } from "node:url";
import { AeonError, codeOfGrpcStatus, errnoOf, toAeonError } from "@aeon/core";
import * as v from "valibot";
import type { PackRequest, UnpackRequest } from "../archive/layer-file.ts";
import type { StackRequest } from "../archive/layer-stack.ts";
import { errors } from "../errors.ts";
import { failureSchema, results, type Job } from "./job.ts";

/** The command of a worker process: the program and its arguments. */
export type WorkerCommand = readonly [program: string, ...args: string[]];

/** Bytes of a worker's error output that are kept for the message. */
const keptOutput = 4096;

/** This package's own worker, run by the current Node. */
export function defaultWorkerCommand(): WorkerCommand {
  const isSource = import.meta.url.endsWith(".ts");
  const entry = fileURLToPath(new URL(isSource ? "./main.ts" : "./main.js", import.meta.url));
  return [process.execPath, ...(isSource ? ["--conditions=@aeon/source"] : []), entry];
}

/**
 * Runs archive work in processes of their own: it is synchronous, long, and reads what strangers wrote. Each
 * job is a process; the signal kills it. Throws the job's own error, or `WORKER_FAILED`.
 */
export class ArchiveWorker {
  readonly #command: WorkerCommand;

  constructor(command: WorkerCommand = defaultWorkerCommand()) {
    this.#command = command;
  }

  /** Packs a folder into a new file. */
  pack(request: PackRequest, signal: AbortSignal): Promise<v.InferOutput<typeof results.pack>> {
    return this.#run({ job: "pack", ...request }, results.pack, signal);
  }

  /** Unpacks a verified layer into a new folder. */
  async unpack(request: UnpackRequest, signal: AbortSignal): Promise<void> {
    await this.#run({ job: "unpack", ...request }, results.unpack, signal);
  }

  /** Deletes a folder and all below it. */
  async remove(path: string, signal: AbortSignal): Promise<void> {
    await this.#run({ job: "remove", path }, results.remove, signal);
  }

  /** Bytes in allocated blocks of a folder. */
  async measure(path: string, signal: AbortSignal): Promise<number> {
    return (await this.#run({ job: "measure", path }, results.measure, signal)).bytes;
  }

  /** About how long the archive of a folder with unpacked layers below it, the lowest first, would be. */
  async weigh(request: StackRequest, signal: AbortSignal): Promise<number> {
    return (await this.#run({ job: "weigh", ...request }, results.weigh, signal)).bytes;
  }

  async #run<Schema extends v.GenericSchema>(
    job: Job,
    schema: Schema,
    signal: AbortSignal,
  ): Promise<v.InferOutput<Schema>> {
    const { output, errorOutput, end } = await this.#process(job, signal);
    signal.throwIfAborted();
    const value = parseJson(output);
    const failure = v.safeParse(failureSchema, value);
    if (failure.success) {
      const { status, reason, message } = failure.output.error;
      throw new AeonError(codeOfGrpcStatus(status), reason, message);
    }
    const result = v.safeParse(schema, value);
    if (end.code === 0 && result.success) return result.output;
    const how = end.signal === null ? `exited with ${end.code}` : `was ended by ${end.signal}`;
    throw errors.WORKER_FAILED(
      `the process that should ${job.job} ${how}: ${errorOutput.trim() || "no error output"}`,
    );
  }

  async #process(job: Job, signal: AbortSignal): Promise<Ended> {
    signal.throwIfAborted();
    const [program, ...args] = this.#command;
    const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"], signal, killSignal: "SIGKILL" });
    if (job.job !== "unpack") lowerPriority(child.pid);
    let output = "";
    let errorOutput = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
    child.stderr
      .setEncoding("utf8")
      .on("data", (text: string) => (errorOutput = (errorOutput + text).slice(-keptOutput)));
    const { promise, resolve } = Promise.withResolvers<Ended["end"]>();
    let failure: unknown;
    child.on("error", (error) => (failure ??= error));
    child.on("close", (code, killedBy) => resolve({ code, signal: killedBy }));
    // A child that died early closes the pipe; its exit says why.
    child.stdin.on("error", () => {});
    child.stdin.end(JSON.stringify(job));
    const end = await promise;
    if (failure !== undefined && !signal.aborted)
      throw errors.WORKER_FAILED(toAeonError(failure, `run ${program}`).message, { cause: failure });
    return { output, errorOutput, end };
  }
}

/** Only the start of a container waits for a worker; everything else takes what the machine has to spare. */
function lowerPriority(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    setPriority(pid, constants.priority.PRIORITY_LOW);
  } catch (error) {
    // It ended already; its exit says how.
    if (errnoOf(error) !== "ESRCH") throw error;
  }
}

interface Ended {
  readonly output: string;
  readonly errorOutput: string;
  readonly end: { readonly code: number | null; readonly signal: NodeJS.Signals | null };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
