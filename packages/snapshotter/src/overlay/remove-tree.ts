import { lstatSync, readFileSync, rmdirSync, unlinkSync } from "node:fs";
import { walkTree } from "./walk.ts";

/** Passes over a tree that somebody keeps writing to. */
const passes = 3;

const codeOf = (error: unknown): unknown =>
  error instanceof Error && "code" in error ? error.code : undefined;

/**
 * Deletes a tree. Follows no link, refuses when something is mounted inside, goes on after a file that cannot be
 * deleted and throws its error at the end. Nothing happens when the root is gone.
 */
export function* removeTree(root: string): Generator<void, void, undefined> {
  refuseMounts(root);
  for (let pass = 1; ; pass++) {
    if (lstatSync(root, { throwIfNoEntry: false }) === undefined) return;
    const failure: { first?: unknown } = {};
    const attempt = (step: () => void): void => {
      try {
        step();
      } catch (error) {
        if (codeOf(error) !== "ENOENT") failure.first ??= error;
      }
    };
    yield* walkTree(root, {
      entry: (path, stats) => {
        if (!stats.isDirectory()) attempt(() => unlinkSync(path));
      },
      leave: (path) => attempt(() => rmdirSync(path)),
    });
    attempt(() => rmdirSync(root));
    if (failure.first === undefined) return;
    if (pass === passes || codeOf(failure.first) !== "ENOTEMPTY") throw failure.first;
  }
}

/** A bind mount inside would have the files of somebody else deleted. */
function refuseMounts(root: string): void {
  const mounted = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) =>
      (line.split(" ")[4] ?? "").replaceAll(/\\(\d{3})/g, (_, code: string) =>
        String.fromCharCode(Number.parseInt(code, 8)),
      ),
    )
    .find((point) => point === root || point.startsWith(`${root}/`));
  if (mounted !== undefined)
    throw Object.assign(new Error(`${mounted} is mounted; unmount it first`), { code: "EBUSY" });
}
