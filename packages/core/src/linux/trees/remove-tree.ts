import { lstatSync, rmdirSync, unlinkSync } from "node:fs";
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
      otherMounts: "refuse",
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
