import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { describeTree } from "./describe-tree.ts";
import { growTree } from "./grow-tree.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "aeon-grow-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** The tree without times, and without the names that depend on where it is. */
async function grown(seed: number): Promise<readonly string[]> {
  const root = mkdtempSync(join(folder, "tree-"));
  growTree(root, { seed, files: 300, bytes: 3_000_000 });
  const tree = await describeTree(root, { holes: false });
  return [...tree].map(([path, facts]) => `${path} ${facts.replace(/mtime=\d+/, "").replace(root, "")}`);
}

test("equal seeds give equal trees, others differ", async () => {
  const [first, again, other] = [await grown(1), await grown(1), await grown(2)];
  expect(again).toEqual(first);
  expect(other).not.toEqual(first);
  const sizes = first.flatMap((line) => /\bsize=(\d+)/.exec(line)?.[1] ?? []).map(Number);
  expect(sizes.length).toBeGreaterThan(280);
  expect(sizes.filter((size) => size < 4096).length).toBeGreaterThan(150);
});
