import { existsSync, watch } from "node:fs";
import { dirname } from "node:path";
import { existingFolder } from "./existing-folder.ts";

/** Looked at this often as well: a folder may be on a file system that tells of no changes. */
const lookMs = 10_000;

/** Resolves with the first of the paths that exists, at the latest with the signal and undefined. */
export async function whenPathExists(
  paths: readonly string[],
  signal: AbortSignal,
): Promise<string | undefined> {
  while (!signal.aborted) {
    // Watched before looking, so that nothing comes in between.
    using change = nextChange(paths, signal);
    const found = paths.find((path) => existsSync(path));
    if (found !== undefined) return found;
    await change.seen;
  }
  return undefined;
}

function nextChange(paths: readonly string[], signal: AbortSignal): Disposable & { seen: Promise<void> } {
  const { promise: seen, resolve } = Promise.withResolvers<void>();
  const done = (): void => resolve();
  const timer = setTimeout(done, lookMs);
  timer.unref();
  signal.addEventListener("abort", done, { once: true });
  const folders = new Set(paths.map((path) => existingFolder(dirname(path))));
  const watchers = [...folders].flatMap((folder) => {
    try {
      return [watch(folder, { persistent: false }, done).on("error", done)];
    } catch {
      // It has gone, or there are no watches left: the timer looks again.
      return [];
    }
  });
  return {
    seen,
    [Symbol.dispose]() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      for (const watcher of watchers) watcher.close();
    },
  };
}
