import { spawn, type ChildProcess } from "node:child_process";
import { constants, setPriority } from "node:os";
import { parentPort } from "node:worker_threads";
import { errnoOf } from "@aeon/core";

/** A request to the thread; `cancel` names an earlier one, whose process is killed. */
export type SpawnRequest =
  | {
      readonly id: number;
      readonly kind: "run";
      readonly command: readonly [program: string, ...args: string[]];
      /** For the process's standard input. */
      readonly input: string;
      /** Whether it takes only what the machine has to spare. */
      readonly inBackground: boolean;
    }
  | { readonly id: number; readonly kind: "cancel" };

/** How a process ended. */
export interface EndedProcess {
  /** The last line that it printed. */
  readonly output: string;
  /** The last 4096 characters. */
  readonly errorOutput: string;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Why it could not be run. */
  readonly failure?: string;
}

/** What comes of a request to run, also of one that was cancelled; the last one says how it ended. */
export type SpawnReply =
  | { readonly id: number; readonly ended: EndedProcess }
  /** A line on the process's standard output that another one follows. */
  | { readonly id: number; readonly line: string };

const keptOutput = 4096;

const running = new Map<number, ChildProcess>();

function serve(request: SpawnRequest): void {
  if (request.kind === "cancel") running.get(request.id)?.kill("SIGKILL");
  else run(request);
}

function run({ id, command, input, inBackground }: SpawnRequest & { kind: "run" }): void {
  const [program, ...args] = command;
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
  running.set(id, child);
  if (inBackground) lowerPriority(child.pid);
  let output = "";
  let errorOutput = "";
  let failure: string | undefined;
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const lines = (output + text).split("\n");
    // What is said last is the result, and stays until the end, also when it ends its line.
    output = lines.splice(lines.at(-1) === "" ? -2 : -1).join("\n");
    for (const line of lines) answer({ id, line });
  });
  child.stderr
    .setEncoding("utf8")
    .on("data", (text: string) => (errorOutput = (errorOutput + text).slice(-keptOutput)));
  child.on("error", (error) => (failure ??= error.message));
  child.on("close", (code, signal) => {
    running.delete(id);
    const ended = { output, errorOutput, code, signal, ...(failure !== undefined && { failure }) };
    answer({ id, ended });
  });
  // A child that died early closes the pipe; its exit says why.
  child.stdin.on("error", () => {});
  child.stdin.end(input);
}

function answer(reply: SpawnReply): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  parentPort?.postMessage(reply);
}

function lowerPriority(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    setPriority(pid, constants.priority.PRIORITY_LOW);
  } catch (error) {
    // It ended already; its exit says how.
    if (errnoOf(error) !== "ESRCH") throw error;
  }
}

parentPort?.on("message", serve);
