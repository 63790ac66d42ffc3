import { execFile } from "node:child_process";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** A life of a container: what containerd calls for `ctr run --rm`. Arguments: runtime, its root, bundle. */
export const life =
  '"$1" --root "$2" create --bundle "$3" --pid-file "$3/pid" b </dev/null >/dev/null 2>&1 && "$1" --root "$2" start b; "$1" --root "$2" delete b 2>/dev/null; "$1" --root "$2" delete --force b';

/** Milliseconds that a shell script takes. */
export async function timed(script: string, args: readonly string[]): Promise<number> {
  const from = performance.now();
  await execute("/bin/sh", ["-c", script, "sh", ...args]);
  return performance.now() - from;
}
