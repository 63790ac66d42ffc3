import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, closeSync, linkSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FrameWriter } from "../src/archive/frame-writer.ts";
import { packFile, unpackFile } from "../src/archive/layer-file.ts";
import { makeTree, randomTree, type MakeOptions, type Node, type TreeOptions } from "./random-tree.ts";
import { run, scratch } from "./scratch.ts";
import { debianFile, describeTree, difference } from "@aeon/testkit";
import { linux } from "@aeon/core";
import { DirectoryCursor } from "@aeon/core/trees";

/** An independent decompressor: Node's own stops after the first frame. */
const zstd = await debianFile("zstd", "usr/bin/zstd");

/** Set to repeat a failure that a run printed. */
const seed = Number(process.env["AEON_TEST_SEED"] ?? Date.now() % 2 ** 31);
const runs = Number(process.env["AEON_TEST_RUNS"] ?? 3000);
console.log(`archive properties: seed ${seed}, ${runs} trees in all`);
/** Trees that are packed and unpacked together: processes and folders cost more than small trees do. */
const together = 25;
const settings = { seed, endOnFailure: true };
/** Trees that were tried. */
let tried = 0;

const forest = (options: TreeOptions) =>
  fc.array(randomTree(options), { minLength: together, maxLength: together });

/** Makes each tree in a folder of its own. */
function makeForest(root: string, trees: readonly (readonly Node[])[], options: MakeOptions = {}): void {
  mkdirSync(root);
  for (const [index, tree] of trees.entries()) {
    mkdirSync(join(root, `t${index}`));
    makeTree(join(root, `t${index}`), tree, options);
  }
  tried += trees.length;
}

/** So many rounds that the given share of all trees is tried. */
const rounds = (share: number) => ({ ...settings, numRuns: Math.ceil((runs * share) / together) });

const tarFlags = [
  "--xattrs",
  "--xattrs-include=*",
  "--numeric-owner",
  "--same-owner",
  "--preserve-permissions",
];

describe("random layers", () => {
  test(
    "unpack to what was packed, overlay states included, and pack to the same bytes again",
    { timeout: 600_000 },
    async () => {
      await fc.assert(
        fc.asyncProperty(forest({ overlay: true }), async (trees) => {
          using dir = scratch();
          makeForest(dir.at("upper"), trees);
          const { layer } = await packFile({
            source: dir.at("upper"),
            target: dir.at("blob"),
            overlay: "trusted",
            level: 1,
          });
          await unpackFile({ source: dir.at("blob"), layer, target: dir.at("lower"), overlay: "trusted" });
          const before = await describeTree(dir.at("upper"), { layer: true });
          const after = await describeTree(dir.at("lower"), { layer: true });
          expect(difference(before, after)).toEqual([]);
          const again = await packFile({
            source: dir.at("lower"),
            target: dir.at("again"),
            overlay: "trusted",
            level: 1,
          });
          expect(again.layer).toEqual(layer);
        }),
        rounds(0.4),
      );
    },
  );

  test("are what GNU tar extracts from our archive", { timeout: 600_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(forest({ overlay: false }), async (trees) => {
        using dir = scratch();
        mkdirSync(dir.at("out"));
        makeForest(dir.at("upper"), trees);
        await packFile({ source: dir.at("upper"), target: dir.at("blob"), overlay: "trusted", level: 1 });
        run(zstd, "-q", "-d", dir.at("blob"), "-o", dir.at("tar"));
        run("tar", ...tarFlags, "-C", dir.at("out"), "-xf", dir.at("tar"));
        const [ours, theirs] = [
          await describeTree(dir.at("upper"), { layer: true }),
          await describeTree(dir.at("out"), { layer: true }),
        ];
        expect(difference(ours, theirs)).toEqual([]);
      }),
      rounds(0.3),
    );
  });

  test("are what we extract from GNU tar's archive", { timeout: 600_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(forest({ overlay: false }), async (trees) => {
        using dir = scratch();
        makeForest(dir.at("upper"), trees, { linkSpecial: false });
        // It skips sockets with a warning, which is not a failure.
        const { status, stderr } = spawnSync(
          "tar",
          [
            ...tarFlags,
            "--xattrs-exclude=trusted.overlay.*",
            "--format=posix",
            "--sparse",
            "--sort=name",
            "-C",
            dir.at("upper"),
            "-cf",
            dir.at("tar"),
            ".",
          ],
          { encoding: "utf8" },
        );
        expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
        const entries = run("tar", "-tf", dir.at("tar"), "--quoting-style=escape")
          .trimEnd()
          .split("\n").length;
        const layer = { ...(await frames(dir.at("tar"), dir.at("blob"))), entries };
        await unpackFile({ source: dir.at("blob"), layer, target: dir.at("lower"), overlay: "trusted" });
        const [before, after] = [
          await describeTree(dir.at("upper"), { layer: true, holes: false }),
          await describeTree(dir.at("lower"), { layer: true, holes: false }),
        ];
        expect(difference(before, after)).toEqual([]);
      }),
      rounds(0.3),
    );
  });
});

test("whole layers are random trees too, their root folder included", { timeout: 300_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(
      randomTree({ overlay: true }),
      fc.integer({ min: 0, max: 0o7777 }),
      async (tree, mode) => {
        using dir = scratch();
        mkdirSync(dir.at("upper"));
        makeTree(dir.at("upper"), tree);
        chmodSync(dir.at("upper"), mode);
        const how = { overlay: "trusted", level: 1 } as const;
        const { layer } = await packFile({ source: dir.at("upper"), target: dir.at("blob"), ...how });
        await unpackFile({ source: dir.at("blob"), layer, target: dir.at("lower"), overlay: "trusted" });
        const before = await describeTree(dir.at("upper"), { layer: true });
        expect(difference(before, await describeTree(dir.at("lower"), { layer: true }))).toEqual([]);
        const again = await packFile({ source: dir.at("lower"), target: dir.at("again"), ...how });
        expect(again.layer).toEqual(layer);
        tried += 1;
      },
    ),
    { ...settings, numRuns: Math.ceil(runs / 60) },
  );
});

test("thousands of trees were tried", () => {
  expect(tried).toBeGreaterThanOrEqual(runs);
});

test("a tree deeper than any path may be long survives", { timeout: 60_000 }, async () => {
  using dir = scratch();
  mkdirSync(dir.at("upper"));
  const name = Buffer.from("folder");
  {
    using cursor = new DirectoryCursor(dir.at("upper"));
    for (let depth = 0; depth < 1500; depth += 1) {
      mkdirSync(cursor.child(name));
      cursor.enter(name);
    }
    writeFileSync(cursor.child(Buffer.from("file")), "deep");
    linkSync(cursor.child(Buffer.from("file")), cursor.child(Buffer.from("hard")));
  }
  const { layer } = await packFile({
    source: dir.at("upper"),
    target: dir.at("blob"),
    overlay: "trusted",
    level: 1,
  });
  expect(layer.entries).toBe(1503);
  await unpackFile({ source: dir.at("blob"), layer, target: dir.at("lower"), overlay: "trusted" });
  const again = await packFile({
    source: dir.at("lower"),
    target: dir.at("again"),
    overlay: "trusted",
    level: 1,
  });
  expect(again.layer).toEqual(layer);
});

test("large files that are written while others are read keep their bytes, links and rights", async () => {
  using dir = scratch();
  mkdirSync(dir.at("upper"));
  const sizes = [65_535, 65_536, 3, 300_000, 1_500_000, 0, 9_000_000];
  for (let number = 100; number < 200; number += 1) {
    const size = sizes[number % sizes.length] ?? 0;
    writeFileSync(dir.at("upper", `f${number}`), randomBytes(size));
    linkSync(dir.at("upper", `f${number}`), dir.at("upper", `f${number}-hard`));
    chmodSync(dir.at("upper", `f${number}`), 0o4711);
  }
  // cap_net_raw+ep (linux/capability.h).
  const capability = Buffer.alloc(20);
  capability.writeUInt32LE(0x0200_0001);
  capability.writeUInt32LE(1 << 13, 4);
  for (const name of ["f104", "f106"])
    linux.setXattrSync(dir.at("upper", name), "security.capability", capability);
  const how = { overlay: "trusted", level: 1 } as const;
  const { layer } = await packFile({ source: dir.at("upper"), target: dir.at("blob"), ...how });
  await unpackFile({ source: dir.at("blob"), layer, target: dir.at("lower"), overlay: "trusted" });
  const again = await packFile({ source: dir.at("lower"), target: dir.at("again"), ...how });
  expect(again.layer).toEqual(layer);
});

test("a layer whose data is elsewhere is refused", async () => {
  using dir = scratch();
  for (const name of ["lower", "upper", "work", "merged"]) mkdirSync(dir.at(name));
  writeFileSync(dir.at("lower/file"), "x".repeat(100_000));
  const options = `lowerdir=${dir.at("lower")},upperdir=${dir.at("upper")},workdir=${dir.at("work")},metacopy=on,redirect_dir=on`;
  run("mount", "-t", "overlay", "overlay", "-o", options, dir.at("merged"));
  chmodSync(dir.at("merged/file"), 0o600);
  run("umount", dir.at("merged"));
  await expect(
    packFile({ source: dir.at("upper"), target: dir.at("blob"), overlay: "trusted", level: 1 }),
  ).rejects.toMatchObject({ code: "failed-precondition", reason: "LAYER_INCOMPLETE" });
});

async function frames(source: string, target: string) {
  const fd = openSync(target, "wx");
  try {
    await using writer = new FrameWriter(fd, { level: 1, parallel: 2 });
    writer.write(readFileSync(source));
    return await writer.finish();
  } finally {
    closeSync(fd);
  }
}
