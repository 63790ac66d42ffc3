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

/** Lives whose CPU time is taken together; the shell counts it in hundredths of a second. */
const together = 20;
const many = `i=0; while [ $i -lt ${together} ]; do cp "$4" "$3/config.json"; ${life}; i=$((i+1)); done; times`;

/**
 * CPU milliseconds, user and system, of one life and everything it waits for. Arguments: those of {@link life}, and
 * the specification that the bundle has at its start.
 */
export async function cpuOfLife(args: readonly string[]): Promise<number> {
  const { stdout } = await execute("/bin/sh", ["-c", many, "sh", ...args]);
  const ofChildren = stdout.trim().split("\n").at(-1) ?? "";
  const parts = [...ofChildren.matchAll(/(\d+)m([\d.]+)s/g)];
  const seconds = parts.reduce((sum, [, minutes, rest]) => sum + Number(minutes) * 60 + Number(rest), 0);
  return (seconds * 1000) / together;
}
