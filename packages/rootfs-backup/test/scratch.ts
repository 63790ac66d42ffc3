import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { errnoOf, linux } from "@aeon/core";
import { finish, removeTree } from "@aeon/core/trees";

/** A folder that goes, with whatever hostile names are in it. */
export interface Scratch extends Disposable {
  readonly path: string;
  at(...names: string[]): string;
}

export function scratch(): Scratch {
  const path = mkdtempSync(join(tmpdir(), "aeon-backup-"));
  return { path, at: (...names) => join(path, ...names), [Symbol.dispose]: () => finish(removeTree(path)) };
}

/** Runs a command; its error output is part of the failure. */
export const run = (command: string, ...args: string[]): string =>
  execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], maxBuffer: 1 << 28 });

export const shell = (script: string, cwd: string): string =>
  execFileSync("sh", ["-euc", script], { encoding: "utf8", cwd, stdio: ["ignore", "pipe", "pipe"] });

/** Names of all files below a folder, folders left out. */
export const filesBelow = (path: string): readonly string[] =>
  readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name));

/** Unmounts, waiting a moment: a process that a thread has just started holds all open files until it runs its program. */
export async function unmountFreed(target: string): Promise<void> {
  const limit = performance.now() + 2000;
  for (;;)
    try {
      return await linux.unmount(target);
    } catch (error) {
      if (errnoOf(error) !== "EBUSY" || performance.now() > limit) throw error;
      await new Promise(setImmediate);
    }
}
