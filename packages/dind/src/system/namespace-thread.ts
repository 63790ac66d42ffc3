import { Worker } from "node:worker_threads";
import { errors } from "../errors.ts";
import type { NamespaceAnswer, NamespaceTask } from "./namespace-worker.ts";

/** MiB; it makes a few system calls at a time. */
const limits = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 32, stackSizeMb: 1 };
/** Milliseconds that the thread waits for more to do. */
const restMs = 2000;

/** Node's flags without those that say that the program is on the command line, which a thread refuses. */
function ownFlags(flags: readonly string[]): string[] {
  const program = flags.findIndex((flag) => ["--eval", "-e", "--print", "-p"].includes(flag));
  const others = program < 0 ? flags : flags.toSpliced(program, 2);
  return others.filter((flag) => !flag.startsWith("--input-type"));
}

/** One thread for what is done in other processes' namespaces; ends when it failed, or has rested. */
class NamespaceThread {
  readonly #worker: Worker;
  readonly #ended: () => void;
  #queue: Promise<unknown> = Promise.resolve();
  #tasks = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(ended: () => void) {
    this.#ended = ended;
    const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
    this.#worker = new Worker(new URL(`./namespace-worker.${extension}`, import.meta.url), {
      name: "aeon-namespace",
      resourceLimits: limits,
      execArgv: ownFlags(process.execArgv),
      // Descriptors are closed by who opened them; some come from calls that Node does not know.
      trackUnmanagedFds: false,
    });
    this.#worker.once("exit", ended).once("error", ended);
    this.#rest();
  }

  run(task: NamespaceTask): Promise<string> {
    this.#tasks += 1;
    clearTimeout(this.#timer);
    this.#worker.ref();
    const turn = this.#queue.then(() => this.#ask(task));
    this.#queue = this.#after(turn);
    return turn;
  }

  async #after(turn: Promise<unknown>): Promise<void> {
    await turn.catch(() => {});
    this.#tasks -= 1;
    if (this.#tasks === 0) this.#rest();
  }

  async #ask(task: NamespaceTask): Promise<string> {
    const { promise, resolve } = Promise.withResolvers<NamespaceAnswer>();
    const ended = (): void => resolve({ ok: false, message: "the thread ended" });
    this.#worker.once("message", resolve).once("exit", ended).once("error", ended);
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    this.#worker.postMessage(task);
    const answer = await promise;
    this.#worker.off("message", resolve).off("exit", ended).off("error", ended);
    if (!answer.ok) throw errors.DIND_NAMESPACE_FAILED(`${task.kind}: ${answer.message}`);
    return answer.value;
  }

  #rest(): void {
    this.#worker.unref();
    this.#timer = setTimeout(() => {
      this.#ended();
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      this.#worker.postMessage("end");
    }, restMs).unref();
  }
}

let thread: NamespaceThread | undefined;

function current(): NamespaceThread {
  if (thread === undefined) {
    const made = new NamespaceThread(() => {
      if (thread === made) thread = undefined;
    });
    thread = made;
  }
  return thread;
}

/** Starts the thread ahead of its first task. */
export function prepareNamespaces(): void {
  current();
}

/**
 * Does something in the namespaces of other processes, on a thread that goes back to its own afterwards: a thread can
 * change its namespaces alone, and Node's own threads must not. Throws `DIND_NAMESPACE_FAILED`.
 */
export function inNamespaces(task: NamespaceTask): Promise<string> {
  return current().run(task);
}
