import { mkdtempDisposable, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { create } from "tar";
import { expect, test } from "vitest";
import {
  buildImage,
  ImageLayout,
  mediaTypes,
  packLayout,
  unpackLayout,
  type ImageRecipe,
} from "../src/index.ts";

const temporary = () => mkdtempDisposable(join(tmpdir(), "aeon-layout-"));
const recipe: ImageRecipe = {
  name: "localhost/x:1",
  layers: [[{ type: "file", path: "a", content: "a" }], [{ type: "whiteout", path: "a" }]],
  process: { Cmd: ["/a"] },
};

test("an image that is built, packed and unpacked is the same image", async () => {
  await using folder = await temporary();
  const layout = await ImageLayout.create(join(folder.path, "one"));
  const built = await buildImage(layout, recipe);
  await packLayout(layout, join(folder.path, "x.tar"));
  const copy = await unpackLayout(join(folder.path, "x.tar"), join(folder.path, "two"));
  const [entry] = (await copy.index()).manifests;
  expect(entry?.digest).toBe(built.digest);
  if (!entry) throw new Error("no image");
  const { manifest, config } = await copy.readImage(entry);
  expect(config.config?.Cmd).toEqual(["/a"]);
  for (const [position, layer] of manifest.layers.entries()) {
    expect(layer.digest).toBe(config.rootfs.diff_ids[position]);
    expect(await buffer(await copy.readBlob(layer))).toHaveLength(layer.size);
  }
});

test("damaged and missing content is told by its digest", async () => {
  await using folder = await temporary();
  const layout = await ImageLayout.create(folder.path);
  const blob = await layout.writeBlob("content", mediaTypes.layer);
  await writeFile(layout.blobPath(blob), "cOntent");
  await expect(layout.readDocument(blob)).rejects.toMatchObject({
    reason: "BLOB_CORRUPT",
    code: "data-loss",
  });
  await writeFile(layout.blobPath(blob), "longer content");
  await expect(layout.readDocument(blob)).rejects.toMatchObject({ reason: "BLOB_CORRUPT" });
  await rm(layout.blobPath(blob));
  await expect(layout.readDocument(blob)).rejects.toMatchObject({ reason: "BLOB_MISSING" });
});

async function* failing() {
  yield Buffer.from("half");
  throw new Error("source broke");
}

test("a source that fails leaves nothing in the layout", async () => {
  await using folder = await temporary();
  const layout = await ImageLayout.create(folder.path);
  const before = await readdir(folder.path, { recursive: true });
  await expect(layout.writeBlob(Readable.from(failing()), mediaTypes.layer)).rejects.toThrow("source broke");
  expect(await readdir(folder.path, { recursive: true })).toEqual(before);
});

test("tagging again moves the name", async () => {
  await using folder = await temporary();
  const layout = await ImageLayout.create(folder.path);
  await buildImage(layout, { name: "n:1", layers: [] });
  const second = await buildImage(layout, { name: "n:1", layers: [[{ type: "fifo", path: "p" }]] });
  expect((await layout.index()).manifests.map(({ digest }) => digest)).toEqual([second.digest]);
});

test("an archive's foreign members are not unpacked, and one without a layout is refused", async () => {
  await using folder = await temporary();
  await writeFile(join(folder.path, "evil"), "x");
  await create({ cwd: folder.path, file: join(folder.path, "evil.tar"), portable: true }, ["evil"]);
  const target = join(folder.path, "out");
  await expect(unpackLayout(join(folder.path, "evil.tar"), target)).rejects.toMatchObject({
    reason: "DOCUMENT_MALFORMED",
  });
  expect(await readdir(target)).toEqual([]);
});
