import { createHash } from "node:crypto";
import { closeSync, lstatSync, mkdirSync, openSync, readFileSync, readSync, writeFileSync } from "node:fs";
import { linux } from "@aeon/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { FrameIndex } from "../src/archive/frame-index.ts";
import { layerFiles } from "../src/archive/blob-descriptor.ts";
import { packFile, type LayerBlob } from "../src/archive/layer-file.ts";
import { readContent, type LayerSource } from "../src/archive/read-content.ts";
import type { TocEntry } from "../src/archive/toc-entry.ts";
import { readToc } from "../src/archive/toc-reader.ts";
import { describeTree } from "@aeon/testkit";
import { makeTree, randomTree } from "./random-tree.ts";
import { scratch, type Scratch } from "./scratch.ts";

const seed = Number(process.env["AEON_TEST_SEED"] ?? Date.now() % 2 ** 31);
const runs = Number(process.env["AEON_TEST_RUNS"] ?? 40);
console.log(`contents properties: seed ${seed}, ${runs} runs`);

const pack = (dir: Scratch) =>
  packFile({ source: dir.at("upper"), target: dir.at("blob"), overlay: "trusted", level: 1 });

const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

async function entriesOf(dir: Scratch, layer: LayerBlob): Promise<TocEntry[]> {
  return Array.fromAsync(readToc(layerFiles(dir.at("blob")).toc, layer.toc));
}

function openLayer(dir: Scratch, layer: LayerBlob) {
  const files = layerFiles(dir.at("blob"));
  const bytes = readFileSync(files.index);
  expect({ digest: `sha256:${sha256(bytes)}`, size: bytes.length }).toMatchObject({
    digest: layer.index.digest,
    size: layer.index.size,
  });
  const index = FrameIndex.parse(bytes);
  expect([index.size, index.rawSize]).toEqual([layer.size, layer.rawSize]);
  const fd = openSync(files.layer, "r");
  const read: number[] = [];
  const source: LayerSource = async (offset, length) => {
    read.push(offset);
    const range = Buffer.alloc(length);
    return range.subarray(0, readSync(fd, range, 0, length, offset));
  };
  return { index, source, read, [Symbol.dispose]: () => closeSync(fd) };
}

const content = async (source: LayerSource, index: FrameIndex, entry: TocEntry): Promise<Buffer> =>
  Buffer.concat(await Array.fromAsync(readContent(source, index, entry)));

test("lists every name of a layer and leads to every content", { timeout: 600_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(randomTree({ overlay: true }), async (tree) => {
      using dir = scratch();
      mkdirSync(dir.at("upper"));
      makeTree(dir.at("upper"), tree);
      const { layer } = await pack(dir);
      const described = await describeTree(dir.at("upper"), { layer: true });
      const entries = await entriesOf(dir, layer);
      expect(entries.map(shown).toSorted()).toEqual([...described.keys()].toSorted());
      using opened = openLayer(dir, layer);
      const [listed, found]: string[][] = [[], []];
      for (const entry of entries) {
        const hasContent = entry.type === "file" || entry.type === "link";
        const bytes = hasContent ? await content(opened.source, opened.index, entry) : undefined;
        listed?.push(listedFacts(entry, bytes));
        found?.push(foundFacts(Buffer.concat([Buffer.from(`${dir.at("upper")}/`), entry.path]), entry));
      }
      expect(listed).toEqual(found);
    }),
    { seed, numRuns: runs, endOnFailure: true },
  );
});

const shown = ({ path }: TocEntry) => (path.toString() === "." ? "." : `./${path.toString("latin1")}`);

/** What the table of contents says of an entry, and the content that it leads to. */
function listedFacts(entry: TocEntry, bytes: Buffer | undefined): string {
  const { type, mode, uid, gid, mtime, size, opaque, data } = entry;
  if (type === "whiteout") return type;
  const recorded =
    data === undefined || data.sparse || bytes === undefined ? "" : data.sha256 === sha256(bytes);
  return [type, mode, uid, gid, mtime, opaque, recorded, size, bytes && sha256(bytes)].join(" ");
}

/** The same from the file itself. */
function foundFacts(path: Buffer, { type, data }: TocEntry): string {
  const stat = lstatSync(path, { bigint: true });
  if (stat.isCharacterDevice() && stat.rdev === 0n) return "whiteout";
  const special = type === "link" ? Buffer.alloc(0) : undefined;
  const bytes = stat.isFile() ? readFileSync(path) : special;
  const opaque = stat.isDirectory() && linux.getXattrSync(path, "trusted.overlay.opaque")?.toString() === "y";
  const recorded = data === undefined || data.sparse ? "" : true;
  const mode = stat.mode & 0o7777n;
  return [
    type,
    mode,
    stat.uid,
    stat.gid,
    stat.mtimeNs,
    opaque,
    recorded,
    bytes?.length ?? 0,
    bytes && sha256(bytes),
  ].join(" ");
}

/** Two large files around a small one, so that there are several frames. */
async function threeFiles(dir: Scratch) {
  mkdirSync(dir.at("upper"));
  let state = 1;
  const noise = Buffer.alloc(9_000_000, 0).map(() => (state = (state * 16_807) % 2_147_483_647) & 0xff);
  writeFileSync(dir.at("upper/a"), noise);
  writeFileSync(dir.at("upper/b"), "small");
  writeFileSync(dir.at("upper/c"), noise);
  const { layer } = await pack(dir);
  return { layer, entries: await entriesOf(dir, layer) };
}

test("reads only the frames that hold a file", async () => {
  using dir = scratch();
  const { layer, entries } = await threeFiles(dir);
  using opened = openLayer(dir, layer);
  const small = entries.find(({ path }) => path.toString() === "b");
  expect(small?.data?.frame).toBe(opened.index.holding(small?.data?.offset ?? 0));
  expect(small && (await content(opened.source, opened.index, small)).toString()).toBe("small");
  expect(opened.read).toHaveLength(1);
  expect(opened.index.count).toBeGreaterThan(4);
});

test("refuses damaged frames, wrong content, and a changed table", async () => {
  using dir = scratch();
  const { layer, entries } = await threeFiles(dir);
  using opened = openLayer(dir, layer);
  const [, first] = entries;
  if (first?.data === undefined) throw new Error("no file");
  const damaged: LayerSource = async (offset, length) => {
    const bytes = await opened.source(offset, length);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    return bytes;
  };
  const short: LayerSource = async (offset, length) => (await opened.source(offset, length)).subarray(1);
  const swapped: LayerSource = (_offset, length) => opened.source(0, length);
  for (const source of [damaged, short, swapped])
    await expect(content(source, opened.index, first)).rejects.toMatchObject({ reason: "ARCHIVE_CORRUPT" });
  const elsewhere = { ...first, data: { ...first.data, offset: first.data.offset + 1 } };
  const beyond = { ...first, data: { ...first.data, length: layer.rawSize } };
  for (const entry of [elsewhere, beyond])
    await expect(content(opened.source, opened.index, entry)).rejects.toMatchObject({
      reason: "ARCHIVE_CORRUPT",
    });
  const { toc } = layerFiles(dir.at("blob"));
  const bytes = readFileSync(toc);
  for (const changed of [bytes.subarray(0, -1), Buffer.concat([bytes, bytes]), Buffer.alloc(bytes.length)]) {
    writeFileSync(dir.at("changed"), changed);
    await expect(Array.fromAsync(readToc(dir.at("changed"), layer.toc))).rejects.toMatchObject({
      reason: "ARCHIVE_CORRUPT",
    });
  }
});
