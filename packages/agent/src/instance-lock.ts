import {
  closeSync,
  constants,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { errnoOf, errorMessage, linux } from "@aeon/core";
import { errors } from "./errors.ts";

/** Others may pass through (containers with id-mapped root file systems do) but not look around. */
const folderMode = 0o711;

/** How a process comes to the root. */
export type Claim =
  /** An agent: one that stands in until it comes is ended first. */
  | { readonly kind: "agent" }
  /** One that stands in for the agent of a process, which is about to end, until the next agent comes. */
  | { readonly kind: "stand-in"; readonly after: number };

/** On the command line of an agent that stands in, before the process id of the one before it. */
export const standInFlag = "--stand-in-after";

/** Milliseconds between two looks at the lock, and for its holder to end. */
const lookMs = 10;
const patienceMs = 40_000;

/**
 * Makes the folders of an agent and claims them for this process. Rejects with `AGENT_ALREADY_RUNNING` or
 * `ROOT_UNUSABLE`.
 */
export async function lockRoot(
  root: string,
  state: string,
  claim: Claim = { kind: "agent" },
): Promise<Disposable> {
  try {
    for (const folder of [root, state]) makeFolder(folder);
    return await take(root, claim);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    throw errors.ROOT_UNUSABLE(`cannot use ${root} and ${state}: ${errorMessage(error)}`, {
      cause: error,
      details: { root, state },
    });
  }
}

/** Node's own recursive mkdir never ends where a file system refuses with ENOENT, as /proc does. */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  const parent = dirname(path);
  if (parent !== path) makeFolder(parent);
  mkdirSync(path, { mode: folderMode });
}

const standIn = "stand-in";

async function take(root: string, claim: Claim): Promise<Disposable> {
  const path = join(root, "agent.lock");
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  try {
    const deadline = performance.now() + patienceMs;
    let ended: number | undefined;
    while (!tryLock(fd)) {
      const [pid = "", kind] = readFileSync(path, "utf8").trim().split(" ");
      const owner = Number(pid);
      const isLeaving = claim.kind === "stand-in" ? owner === claim.after : kind === standIn;
      if (!isLeaving || performance.now() > deadline) throw alreadyRunning(root, pid);
      if (claim.kind === "agent" && ended !== owner) endStandIn((ended = owner));
      await sleep(lookMs);
    }
    notePid(fd, claim);
    return { [Symbol.dispose]: () => closeSync(fd) };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** An agent that sees other process ids than its predecessor must not end somebody else's process. */
function endStandIn(pid: number): void {
  try {
    if (readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0").includes(standInFlag))
      process.kill(pid, "SIGTERM");
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
  }
}

function tryLock(fd: number): boolean {
  try {
    linux.lockFileSync(fd, "exclusive");
    return true;
  } catch (error) {
    if (errnoOf(error) === "EAGAIN") return false;
    throw error;
  }
}

const alreadyRunning = (root: string, owner: string): Error =>
  errors.AGENT_ALREADY_RUNNING(`an agent${owner === "" ? "" : ` (process ${owner})`} already uses ${root}`, {
    details: { root, pid: owner },
  });

/** A full disk must not keep the agent from starting; then nobody takes the place of one that stands in. */
function notePid(fd: number, { kind }: Claim): void {
  try {
    ftruncateSync(fd);
    writeSync(fd, `${process.pid}${kind === "stand-in" ? ` ${standIn}` : ""}\n`, 0);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
  }
}
