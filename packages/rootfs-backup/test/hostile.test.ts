import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { AeonError } from "@aeon/core";
import { describeTree, difference } from "@aeon/testkit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { packFile, unpackFile } from "../src/archive/layer-file.ts";
import { paxRecord } from "../src/archive/pax.ts";
import { forgeBlob, forgeTar, unpackForged, type Forged } from "./forge.ts";
import { scratch, type Scratch } from "./scratch.ts";

const directory = (path: string): Forged => ({ path, type: "directory" });
const symlink = (path: string, target: string): Forged => ({ path, type: "symlink", target });
const link = (path: string, target: string): Forged => ({ path, type: "link", target });
const file = (path: string | Buffer, data = "evil"): Forged => ({ path, data });

/** Things outside of the target that an escape would change. */
function canary(dir: Scratch): Promise<ReadonlyMap<string, string>> {
  if (!existsSync(dir.at("canary"))) {
    mkdirSync(dir.at("canary/inner"), { recursive: true });
    writeFileSync(dir.at("canary/file"), "untouched");
  }
  return describeTree(dir.at("canary"));
}

const hostile: Readonly<Record<string, (dir: Scratch) => readonly Forged[]>> = {
  "an absolute path": (dir) => [file(dir.at("canary/file"))],
  "a path with ..": () => [file("../canary/file")],
  "a path with .. inside": () => [directory("a"), file("a/../../canary/file")],
  "a path with an empty component": () => [directory("a"), file("a//b")],
  "a path with . inside": () => [directory("a"), file("a/./b")],
  "an empty path": () => [file("")],
  "a path with NUL": () => [file(Buffer.from(`${"x".repeat(120)}\0y`))],
  "a name of 256 bytes": () => [file("n".repeat(256))],
  "a path of a megabyte": () => [file(`${"a/".repeat(600_000)}f`)],
  "a file through a link": () => [symlink("a", "../canary"), file("a/file")],
  "a directory through a link": () => [symlink("a", "../canary/inner"), directory("a/new")],
  "a link replaced by its target's file": () => [symlink("a", "../canary/file"), file("a")],
  "a directory entry over a link": () => [
    symlink("a", "../canary/inner"),
    { path: "a", type: "directory", mode: 0o777 },
  ],
  "a file below a file": () => [file("a"), file("a/b")],
  "a file below a missing directory": () => [file("a/b")],
  "a file below a deleted one": () => [file(".wh.a"), file(".wh.a/b")],
  "the same file twice": () => [file("a"), file("a")],
  "the same directory twice": () => [directory("a"), directory("a")],
  "the root twice": () => [directory("."), directory(".")],
  "the root as a file": () => [file(".")],
  "a file and its deletion": () => [file("a"), file(".wh.a")],
  "a directory again after its turn": () => [directory("a"), directory("b"), file("a/late")],
  "a hard link to the outside": () => [link("a", "../canary/file")],
  "a hard link to an absolute path": (dir) => [link("a", dir.at("canary/file"))],
  "a hard link through a link": () => [symlink("a", "../canary"), link("b", "a/file")],
  "a hard link to a later file": () => [link("a", "b"), file("b")],
  "a hard link to a directory": () => [directory("a"), link("b", "a")],
  "a hard link to the root": () => [link("a", ".")],
  "a hard link to a deletion": () => [file(".wh.a"), link("b", ".wh.a")],
  "a whiteout device": () => [{ path: "a", type: "character", device: { major: 0, minor: 0 } }],
  "a deletion without a name": () => [file(".wh.")],
  "a deletion of .": () => [file(".wh..")],
  "a deletion of ..": () => [file(".wh...")],
};

const named = (prefix: string, table: Readonly<Record<string, unknown>>) =>
  Object.keys(table).map((name) => `${prefix}${name}`);

describe("an archive that holds", () => {
  test.for(named("", hostile))("%s is refused and changes nothing outside", async (name) => {
    using dir = scratch();
    const before = await canary(dir);
    const entries = hostile[name]?.(dir) ?? [];
    await expect(unpackForged(forgeTar(entries), dir)).rejects.toMatchObject({
      code: "permission-denied",
      reason: "ARCHIVE_HOSTILE",
    });
    expect(difference(before, await canary(dir))).toEqual([]);
  });

  test("more entries than recorded is refused", async () => {
    using dir = scratch();
    await expect(unpackForged(forgeTar([file("a"), file("b")]), dir, 1)).rejects.toMatchObject({
      reason: "ARCHIVE_HOSTILE",
    });
  });

  test("fewer entries than recorded is refused", async () => {
    using dir = scratch();
    await expect(unpackForged(forgeTar([file("a")]), dir, 2)).rejects.toMatchObject({
      reason: "ARCHIVE_CORRUPT",
    });
  });

  test("an escaped attribute of overlayfs gets it as the container's own", async () => {
    using dir = scratch();
    const xattrs = [{ name: Buffer.from("trusted.overlay.opaque"), value: Buffer.from("y") }];
    await unpackForged(forgeTar([{ ...directory("a"), xattrs }]), dir, 1);
    const { linux } = await import("@aeon/core");
    const names = linux.listXattrsSync(dir.at("out/a")).map(String);
    expect(names).toEqual(["trusted.overlay.overlay.opaque"]);
  });
});

/** A header with a given extended header before it. */
function withPax(records: readonly Buffer[], entry: Forged): Buffer {
  const data = Buffer.concat(records);
  const header = forgeTar([{ path: "pax", data }]);
  // The type of the first header becomes "x"; its checksum is mended.
  header.write("x", 156, "latin1");
  header.fill(0x20, 148, 156);
  const sum = header.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return Buffer.concat([header.subarray(0, -1024), forgeTar([entry])]);
}

const sparse = (map: string, size: string): Buffer =>
  withPax(
    [
      paxRecord("GNU.sparse.major", "1"),
      paxRecord("GNU.sparse.minor", "0"),
      paxRecord("GNU.sparse.name", "s"),
      paxRecord("GNU.sparse.realsize", size),
    ],
    { path: "x", data: Buffer.concat([Buffer.from(map), Buffer.alloc(512 - (map.length % 512))]) },
  );

/** An archive whose first header has another type. */
function ofType(type: string): Buffer {
  const archive = forgeTar([file("a")]);
  archive.write(type, 156, "latin1");
  mendChecksums(archive);
  return archive;
}

const refused: Readonly<Record<string, { readonly archive: () => Buffer; readonly reason: RegExp }>> = {
  "an extended header of more than a megabyte": {
    archive: () => withPax([paxRecord("comment", "x".repeat(2 << 20))], file("a")),
    reason: /ARCHIVE_/,
  },
  "an attribute larger than any": {
    archive: () => withPax([paxRecord("SCHILY.xattr.user.a", "x".repeat(70_000))], file("a")),
    reason: /ARCHIVE_/,
  },
  "an entry of an unknown kind": { archive: () => ofType("Z"), reason: /ARCHIVE_/ },
  "a contiguous file": { archive: () => ofType("7"), reason: /ARCHIVE_/ },
  "a global extended header": { archive: () => ofType("g"), reason: /ARCHIVE_/ },
  "a long name of GNU": { archive: () => ofType("L"), reason: /ARCHIVE_/ },
  "a file of an exabyte": {
    archive: () => withPax([paxRecord("size", "1152921504606846976")], file("a")),
    reason: /ARCHIVE_/,
  },
  "a sparse file of an exabyte": {
    archive: () => sparse("0\n", "1152921504606846976"),
    reason: /ARCHIVE_/,
  },
  "a link to nothing": { archive: () => forgeTar([symlink("a", "")]), reason: /ARCHIVE_/ },
  "a link with NUL": {
    archive: () => withPax([paxRecord("linkpath", "a\0b")], symlink("a", "x")),
    reason: /ARCHIVE_/,
  },
  "a link of a hundred kilobytes": {
    archive: () => withPax([paxRecord("linkpath", "x".repeat(100_000))], symlink("a", "x")),
    reason: /ARCHIVE_/,
  },
  "a device that is none": {
    archive: () => forgeTar([{ path: "a", type: "block", device: { major: 0o7777777, minor: 1 } }]),
    reason: /ARCHIVE_/,
  },
  "the owner that means no change": {
    archive: () => withPax([paxRecord("gid", "4294967295")], file("a")),
    reason: /ARCHIVE_/,
  },
  "an owner that is none": {
    archive: () => withPax([paxRecord("uid", "99999999999")], file("a")),
    reason: /ARCHIVE_/,
  },
};

const corrupt: Readonly<Record<string, Buffer>> = {
  "no end mark": forgeTar([file("a")]).subarray(0, -1024),
  "half an end mark": forgeTar([file("a")]).subarray(0, -512),
  "an end inside a file": forgeTar([file("a", "x".repeat(5000))]).subarray(0, 2048),
  "something after its end mark": Buffer.concat([forgeTar([file("a")]), forgeTar([file("b")])]),
  "a wrong checksum": Buffer.concat([Buffer.from("b"), forgeTar([file("a")]).subarray(1)]),
  "an extended header that is no record": withPax([Buffer.from("12 no-equals\n")], file("a")),
  "an extended header with a wrong length": withPax([Buffer.from("99 path=a\n")], file("a")),
  "a negative size": withPax([paxRecord("size", "-1")], file("a")),
  "a size beyond any file": withPax([paxRecord("size", "9007199254740993")], file("a")),
  "a time that is none": withPax([paxRecord("mtime", "soon")], file("a")),
  "a sparse map that overlaps": sparse("2\n0\n10\n5\n10\n", "100"),
  "a sparse map beyond the file": sparse("1\n90\n20\n", "100"),
  "a sparse map of words": sparse("two\n", "100"),
  "a sparse map without its data": sparse("1\n0\n100\n", "100"),
};

describe("an archive with", () => {
  test.for(named("", corrupt))("%s is refused", async (name) => {
    using dir = scratch();
    await expect(unpackForged(corrupt[name] ?? Buffer.alloc(0), dir)).rejects.toMatchObject({
      code: "data-loss",
      reason: "ARCHIVE_CORRUPT",
    });
  });

  test.for(named("", refused))("%s is refused, and nothing of it is left outside", async (name) => {
    using dir = scratch();
    const before = await canary(dir);
    const { archive, reason } = refused[name] ?? { archive: () => Buffer.alloc(0), reason: /never/ };
    const error = await unpackForged(archive(), dir, 2).then(
      () => "accepted",
      (cause: unknown) => (cause instanceof AeonError ? cause.reason : String(cause)),
    );
    expect(error).toMatch(reason);
    expect(difference(before, await canary(dir))).toEqual([]);
  });

  test("another form of sparse files is refused", async () => {
    using dir = scratch();
    await expect(
      unpackForged(withPax([paxRecord("GNU.sparse.map", "0,1")], file("a")), dir),
    ).rejects.toMatchObject({ reason: "ARCHIVE_UNSUPPORTED" });
  });

  test("a sparse file of millions of extents is refused", async () => {
    using dir = scratch();
    await expect(unpackForged(sparse("9999999\n", "100"), dir)).rejects.toMatchObject({
      reason: "ARCHIVE_HOSTILE",
    });
  });
});

describe("a stored blob", () => {
  const tree = forgeTar([
    directory("d"),
    ...Array.from({ length: 300 }, (_, index) =>
      file(`d/${String(index).padStart(4, "0")}`, `content ${index} `.repeat(500)),
    ),
  ]);

  test("that is cut anywhere is refused", async () => {
    using dir = scratch();
    const layer = await forgeBlob(tree, dir.at("whole"), 301);
    const bytes = readFileSync(dir.at("whole"));
    for (const length of [0, 1, 4, 17, bytes.length >> 1, bytes.length - 5, bytes.length - 1]) {
      writeFileSync(dir.at("cut"), bytes.subarray(0, length));
      await expect(
        unpackFile({ source: dir.at("cut"), layer, target: dir.at(`out-${length}`), overlay: "trusted" }),
      ).rejects.toMatchObject({ reason: "ARCHIVE_CORRUPT" });
    }
  });

  test("with any bit flipped, or with more behind it, is refused", async () => {
    using dir = scratch();
    const layer = await forgeBlob(tree, dir.at("whole"), 301);
    const bytes = readFileSync(dir.at("whole"));
    const isRefused = async (changed: Buffer, name: string) => {
      writeFileSync(dir.at("changed"), changed);
      await expect(
        unpackFile({ source: dir.at("changed"), layer, target: dir.at(name), overlay: "trusted" }),
      ).rejects.toBeInstanceOf(AeonError);
    };
    for (let round = 0; round < 40; round += 1) {
      const changed = Buffer.from(bytes);
      const at = Math.floor((round / 40) * bytes.length);
      changed[at] = (changed[at] ?? 0) ^ (1 << (round % 8));
      await isRefused(changed, `flip-${round}`);
    }
    const half = bytes.length >> 1;
    await isRefused(Buffer.concat([bytes.subarray(half), bytes.subarray(0, half)]), "swapped");
    await isRefused(Buffer.concat([bytes, bytes]), "twice");
    await isRefused(Buffer.concat([bytes, Buffer.from("more")]), "more");
  });

  test("that unpacks to more than was recorded is refused", async () => {
    using dir = scratch();
    const bomb = await forgeBlob(
      forgeTar([{ path: "a", data: Buffer.alloc(30_000_000) }]),
      dir.at("bomb"),
      1,
    );
    await expect(
      unpackFile({
        source: dir.at("bomb"),
        layer: { ...bomb, rawSize: 1024 },
        target: dir.at("out"),
        overlay: "trusted",
      }),
    ).rejects.toMatchObject({ reason: "ARCHIVE_CORRUPT" });
  });
});

test("random damage to the archive itself never leaves the folder", { timeout: 300_000 }, async () => {
  using dir = scratch();
  mkdirSync(dir.at("upper/d/e"), { recursive: true });
  writeFileSync(dir.at("upper/d/file"), "x".repeat(3000));
  const seeds = forgeTar([
    directory("."),
    directory("d"),
    file("d/a", "x".repeat(700)),
    link("d/b", "d/a"),
    symlink("d/c", "../../canary"),
    {
      path: `d/${"long".repeat(40)}`,
      data: "y",
      mtime: 123n,
      xattrs: [{ name: Buffer.from("user.x"), value: Buffer.from("v") }],
    },
    file("d/.wh.gone", ""),
    file("d/.wh..wh..opq", ""),
  ]);
  const before = await canary(dir);
  const outcomes = { refused: 0, accepted: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ at: fc.nat({ max: seeds.length - 1 }), byte: fc.nat({ max: 255 }) }), {
        minLength: 1,
        maxLength: 3,
      }),
      async (changes) => {
        const raw = Buffer.from(seeds);
        for (const { at, byte } of changes) raw[at] = byte;
        mendChecksums(raw);
        using round = scratch();
        const layer = await forgeBlob(raw, round.at("blob"), 8);
        const request = {
          source: round.at("blob"),
          layer,
          target: round.at("out"),
          overlay: "trusted",
        } as const;
        await unpackFile(request).then(
          () => (outcomes.accepted += 1),
          (error: unknown) => {
            expect(error).toBeInstanceOf(Error);
            outcomes.refused += 1;
          },
        );
        expect(readdirSync(round.path).toSorted()).toEqual(["blob", "out"]);
      },
    ),
    { numRuns: 400, endOnFailure: true },
  );
  expect(difference(before, await canary(dir))).toEqual([]);
  expect(outcomes.refused).toBeGreaterThan(0);
  expect(outcomes.accepted).toBeGreaterThan(0);
  const sane = await packFile({
    source: dir.at("upper"),
    target: dir.at("sane"),
    overlay: "trusted",
    level: 1,
  });
  expect(sane.layer.entries).toBe(4);
});

/** Makes header checksums right again, so that damage reaches the code behind them. */
function mendChecksums(raw: Buffer): void {
  for (let at = 0; at + 512 <= raw.length; at += 512) {
    const block = raw.subarray(at, at + 512);
    if (block.toString("latin1", 257, 262) !== "ustar") continue;
    block.fill(0x20, 148, 156);
    const sum = block.reduce((total, byte) => total + byte, 0);
    block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  }
}
