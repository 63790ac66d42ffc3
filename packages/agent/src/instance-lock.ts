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
import { errnoOf, errorMessage, linux } from "@aeon/core";
import { errors } from "./errors.ts";

/** Others may pass through (containers with id-mapped root file systems do) but not look around. */
const folderMode = 0o711;

/** Makes the folders of an agent and claims them for this process. Throws `AGENT_ALREADY_RUNNING` or `ROOT_UNUSABLE`. */
export function lockRoot(root: string, state: string): Disposable {
  try {
    for (const folder of [root, state]) makeFolder(folder);
    return lock(root);
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

function lock(root: string): Disposable {
  const path = join(root, "agent.lock");
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  try {
    linux.lockFileSync(fd, "exclusive");
  } catch (error) {
    const owner = readFileSync(path, "utf8").trim();
    closeSync(fd);
    if (errnoOf(error) !== "EAGAIN") throw error;
    throw errors.AGENT_ALREADY_RUNNING(
      `an agent${owner === "" ? "" : ` (process ${owner})`} already uses ${root}`,
      {
        cause: error,
        details: { root, pid: owner },
      },
    );
  }
  notePid(fd);
  return { [Symbol.dispose]: () => closeSync(fd) };
}

/** For messages only: a full disk must not keep the agent from starting. */
function notePid(fd: number): void {
  try {
    ftruncateSync(fd);
    writeSync(fd, `${process.pid}\n`, 0);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
  }
}
