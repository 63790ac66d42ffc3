import { parentPort } from "node:worker_threads";
import { measureTree, removeTree, type Measured } from "@aeon/core/trees";

/** A request to the worker thread; `cancel` names an earlier one. */
export type DiskRequest =
  | { readonly id: number; readonly kind: "measure" | "remove"; readonly path: string }
  | { readonly id: number; readonly kind: "cancel" };

/** What became of a request; cancelled ones are not answered. */
export type DiskReply =
  | { readonly id: number; readonly ok: true; readonly measured?: Measured }
  | { readonly id: number; readonly ok: false; readonly message: string; readonly code?: string };

type Job = Generator<void, Measured | void, undefined>;

const jobs = new Map<number, Job>();
let scheduled = false;

function start(request: DiskRequest): void {
  if (request.kind === "cancel") {
    jobs.get(request.id)?.return();
    jobs.delete(request.id);
    return;
  }
  jobs.set(request.id, request.kind === "measure" ? measureTree(request.path) : removeTree(request.path));
  schedule();
}

function schedule(): void {
  if (scheduled || jobs.size === 0) return;
  scheduled = true;
  setImmediate(turn);
}

/** Gives every job one slice, so that a huge tree holds up no small one. */
function turn(): void {
  scheduled = false;
  for (const [id, job] of jobs) {
    const reply = advance(id, job);
    if (reply === undefined) continue;
    jobs.delete(id);
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    parentPort?.postMessage(reply);
  }
  schedule();
}

function advance(id: number, job: Job): DiskReply | undefined {
  try {
    const step = job.next();
    if (step.done !== true) return undefined;
    return { id, ok: true, ...(step.value ? { measured: step.value } : {}) };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const code =
      error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
    return { id, ok: false, message, ...(code === undefined ? {} : { code }) };
  }
}

parentPort?.on("message", start);
