import { watch, readFileSync } from "node:fs";
import { dirname } from "node:path";

/** Editors and Kubernetes change a file in several steps. */
const settleMs = 100;

/**
 * Calls `changed` after the content of a file has changed: by writing, by renaming another file over it, or by
 * the swap of Kubernetes' `..data` link beside it. Disposing stops it.
 */
export function watchFile(file: string, changed: () => void): Disposable {
  let content = contentOf(file);
  let timer: NodeJS.Timeout | undefined;
  const compare = () => {
    timer = undefined;
    const now = contentOf(file);
    if (now === undefined || (content !== undefined && now.equals(content))) return;
    content = now;
    changed();
  };
  const watcher = watch(dirname(file), { persistent: false }, () => {
    timer ??= setTimeout(compare, settleMs).unref();
  });
  // The folder itself went away: SIGHUP still reloads.
  watcher.on("error", () => watcher.close());
  return {
    [Symbol.dispose]: () => {
      clearTimeout(timer);
      watcher.close();
    },
  };
}

function contentOf(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}
