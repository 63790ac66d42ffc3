import { watch } from "node:fs";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { errorMessage, type Logger } from "@aeon/core";
import { readHookRun, type HookRun } from "./hook-run.ts";

export interface FollowRunsOptions {
  readonly folder: string;
  /** Told once of each run that ends from now on. */
  readonly onRun: (run: HookRun) => void;
  readonly log: Logger;
}

/** A run is written in one go after its file was opened. */
const settleMs = 20;

const keyOf = ({ containerId, endedAt }: HookRun): string => `${containerId} ${endedAt}`;

/** Tells of runs as they are kept in a folder, which is made when it is not there. */
export async function followRuns({ folder, onRun, log }: FollowRunsOptions): Promise<AsyncDisposable> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const told = new Map<string, string>();
  const waiting = new Map<string, Promise<void>>();
  for (const name of await readdir(folder)) {
    const run = await readHookRun(join(folder, name));
    if (run !== undefined) told.set(name, keyOf(run));
  }
  const look = async (name: string): Promise<void> => {
    await delay(settleMs, undefined, { ref: false });
    waiting.delete(name);
    const run = await readHookRun(join(folder, name));
    if (run === undefined || told.get(name) === keyOf(run)) return;
    told.set(name, keyOf(run));
    onRun(run);
  };
  const watcher = watch(folder, { persistent: false }, (_event, name) => {
    if (name !== null && !waiting.has(name)) waiting.set(name, look(name));
  });
  watcher.on("error", (error) => log.warn({ folder, error: errorMessage(error) }, "runs are not followed"));
  return {
    async [Symbol.asyncDispose]() {
      watcher.close();
      await Promise.all(waiting.values());
    },
  };
}
