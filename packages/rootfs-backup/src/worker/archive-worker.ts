import { fileURLToPath } from "node:url";
import { AeonError, codeOfGrpcStatus, toAeonError } from "@aeon/core";
import * as v from "valibot";
import type { EncryptionKey } from "../archive/encryption-key.ts";
import type { PackRequest, UnpackRequest } from "../archive/layer-file.ts";
import type { StackRequest } from "../archive/layer-stack.ts";
import { errors } from "../errors.ts";
import type { ImageRequest } from "../restore/make-image.ts";
import type { Conflicts, ConflictsRequest } from "../restore/conflicts.ts";
import type { VerifyInStoreRequest } from "../store/scrub/verify-in-store.ts";
import { failureSchema, progressSchema, results, type Job, type Packed } from "./job.ts";
import type { EndedProcess } from "./process-spawner.ts";
import { ProcessThread } from "./process-thread.ts";

/** The command of a worker process: the program and its arguments. */
export type WorkerCommand = readonly [program: string, ...args: string[]];

/** What the start of a container waits for; everything else takes what the machine has to spare. */
const urgent: ReadonlySet<Job["job"]> = new Set(["unpack", "conflicts", "image"]);

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
export class ArchiveWorker implements AsyncDisposable {
  readonly #command: WorkerCommand;
  readonly #keys: readonly EncryptionKey[];
  readonly #thread = new ProcessThread();

  /** The first of the keys encrypts what is packed; without any nothing is encrypted. */
  constructor(command: WorkerCommand = defaultWorkerCommand(), keys: readonly EncryptionKey[] = []) {
    this.#command = command;
    this.#keys = keys;
  }

  /** Packs a folder into a new file. */
  pack(request: PackRequest, signal: AbortSignal, onProgress?: (bytes: number) => void): Promise<Packed> {
    const job = { job: "pack", key: this.#keys[0], ...request, progress: onProgress !== undefined } as const;
    return this.#run(job, results.pack, signal, onProgress);
  }

  /** Unpacks a verified layer into a new folder. */
  async unpack(request: UnpackRequest, signal: AbortSignal): Promise<void> {
    await this.#run({ job: "unpack", keys: this.#keys, ...request }, results.unpack, signal);
  }

  /** Deletes a folder and all below it. */
  async remove(path: string, signal: AbortSignal): Promise<void> {
    await this.#run({ job: "remove", path }, results.remove, signal);
  }

  /** Bytes in allocated blocks of a folder. */
  async measure(path: string, signal: AbortSignal): Promise<number> {
    return (await this.#run({ job: "measure", path }, results.measure, signal)).bytes;
  }

  /** Reads a stored layer whole and compares all that is recorded of it; gives the bytes that were read. */
  async verify(request: VerifyInStoreRequest, signal: AbortSignal): Promise<number> {
    return (await this.#run({ job: "verify", keys: this.#keys, ...request }, results.verify, signal)).bytes;
  }

  /** About how long the archive of a folder with unpacked layers below it, the lowest first, would be. */
  async weigh(request: StackRequest, signal: AbortSignal): Promise<number> {
    return (await this.#run({ job: "weigh", ...request }, results.weigh, signal)).bytes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#thread[Symbol.asyncDispose]();
  }

  /** What a backup and its image both changed. */
  conflicts(request: ConflictsRequest, signal: AbortSignal): Promise<Conflicts> {
    return this.#run({ job: "conflicts", ...request }, results.conflicts, signal);
  }

  /** Makes an EROFS image of a folder. */
  async image(request: ImageRequest, signal: AbortSignal): Promise<void> {
    await this.#run({ job: "image", ...request }, results.image, signal);
  }

  async #run<Schema extends v.GenericSchema>(
    job: Job,
    schema: Schema,
    signal: AbortSignal,
    onProgress?: (bytes: number) => void,
  ): Promise<v.InferOutput<Schema>> {
    const ended = await this.#process(job, signal, onProgress);
    const { output, errorOutput, code, signal: killer, failure: obstacle } = ended;
    signal.throwIfAborted();
    if (obstacle !== undefined) throw errors.WORKER_FAILED(`cannot run ${this.#command[0]}: ${obstacle}`);
    const value = parseJson(output);
    const failure = v.safeParse(failureSchema, value);
    if (failure.success) {
      const { status, reason, message } = failure.output.error;
      throw new AeonError(codeOfGrpcStatus(status), reason, message);
    }
    const result = v.safeParse(schema, value);
    if (code === 0 && result.success) return result.output;
    const how = killer === null ? `exited with ${code}` : `was ended by ${killer}`;
    throw errors.WORKER_FAILED(
      `the process that should ${job.job} ${how}: ${errorOutput.trim() || "no error output"}`,
    );
  }

  async #process(job: Job, signal: AbortSignal, onProgress?: (bytes: number) => void): Promise<EndedProcess> {
    const request = {
      command: this.#command,
      input: JSON.stringify(job),
      inBackground: !urgent.has(job.job),
    };
    const onLine = (line: string): void => {
      const told = v.safeParse(progressSchema, parseJson(line));
      if (told.success) onProgress?.(told.output.progress.bytes);
    };
    try {
      return await this.#thread.run(request, signal, onLine);
    } catch (error) {
      signal.throwIfAborted();
      throw errors.WORKER_FAILED(toAeonError(error, `run ${this.#command[0]}`).message, { cause: error });
    }
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
