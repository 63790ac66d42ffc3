import { mkdirSync, openSync, lstatSync, readFileSync, readSync, closeSync, writeFileSync } from "node:fs";
import { describeTree } from "@aeon/testkit";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseKeyFile, type EncryptionKey } from "../src/archive/encryption-key.ts";
import { layerFiles } from "../src/archive/blob-descriptor.ts";
import { packFile, type LayerBlob } from "../src/archive/layer-file.ts";
import { ChainTree, diffTrees, layerPath, verifyLayer, type ReadBlob } from "../src/inspect/index.ts";
import { makeTree, randomTree } from "./random-tree.ts";
import { run, scratch, shell, type Scratch } from "./scratch.ts";

const seed = Number(process.env["AEON_TEST_SEED"] ?? Date.now() % 2 ** 31);
const runs = Number(process.env["AEON_TEST_RUNS"] ?? 20);
console.log(`inspect properties: seed ${seed}, ${runs} runs`);
const { signal } = new AbortController();

/** Packed layers as a store has them: files by digest. */
class Blobs {
  readonly read: ReadBlob = async ({ digest }, { offset, length }) => {
    const fd = openSync(this.path(digest), "r");
    try {
      const bytes = Buffer.alloc(length);
      return bytes.subarray(0, readSync(fd, bytes, 0, length, offset));
    } finally {
      closeSync(fd);
    }
  };
  readonly #paths = new Map<string, string>();

  path(digest: string): string {
    return this.#paths.get(digest) ?? "/nonexistent";
  }

  async pack(upper: string, target: string, key?: EncryptionKey): Promise<LayerBlob> {
    const { layer } = await packFile({ source: upper, target, overlay: "trusted", level: 1, key });
    const files = layerFiles(target);
    this.#paths
      .set(layer.digest, files.layer)
      .set(layer.index.digest, files.index)
      .set(layer.toc.digest, files.toc);
    return layer;
  }
}

/** Mounts upper directories on each other and on an image as overlayfs does, the lowest first. */
function overlay(dir: Scratch, lowers: readonly string[]): Disposable & { readonly path: string } {
  const path = dir.at("merged");
  mkdirSync(path);
  mkdirSync(dir.at("image"));
  const lowerdir = [...lowers.toReversed(), dir.at("image")].join(":");
  run("mount", "-t", "overlay", "-o", `ro,lowerdir=${lowerdir}`, "overlay", path);
  return { path, [Symbol.dispose]: () => void run("umount", path) };
}

test(
  "the merged files are those that overlayfs shows, with their content",
  { timeout: 300_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(randomTree({ overlay: true }), { minLength: 1, maxLength: 3 }),
        async (trees) => {
          using dir = scratch();
          const blobs = new Blobs();
          const layers: LayerBlob[] = [];
          const uppers = trees.map((_, index) => dir.at(`upper${index}`));
          for (const [index, tree] of trees.entries()) {
            const upper = uppers[index] ?? "";
            mkdirSync(upper);
            makeTree(upper, tree);
            layers.push(await blobs.pack(upper, dir.at(`layer${index}`)));
          }
          using merged = overlay(dir, uppers);
          // overlayfs lists a whiteout in a directory of one layer alone, but does not find it.
          const isGhost = (shown: string) =>
            lstatSync(Buffer.from(`${merged.path}/${shown}`, "latin1"), { throwIfNoEntry: false }) ===
            undefined;
          const expected = await describeTree(merged.path, { holes: false, without: isGhost });
          const tree = new ChainTree(layers, blobs.read, { signal });
          const found: string[] = [];
          for await (const item of tree.entries()) {
            const { entry } = item;
            if (entry.type === "whiteout") continue;
            const shown = entry.path.toString() === "." ? "." : `./${entry.path.toString("latin1")}`;
            found.push(shown);
            const facts = expected.get(shown) ?? "";
            expect(facts).toContain(`mode=${entry.mode.toString(8)} owner=${entry.uid}:${entry.gid}`);
            expect(facts).toContain(entry.type === "link" ? "" : `mtime=${entry.mtime}`);
            if (entry.type !== "file") continue;
            const path = Buffer.concat([Buffer.from(`${merged.path}/`), entry.path]);
            const content = Buffer.concat(await Array.fromAsync(tree.content(item)));
            expect(content.equals(readFileSync(path))).toBe(true);
          }
          expect(found.toSorted()).toEqual([...expected.keys()].toSorted());
        },
      ),
      { seed, numRuns: runs, endOnFailure: true },
    );
  },
);

async function generations(dir: Scratch) {
  const blobs = new Blobs();
  const layer = async (name: string, script: string) => {
    mkdirSync(dir.at(name));
    shell(script, dir.at(name));
    return blobs.pack(dir.at(name), dir.at(`${name}.layer`));
  };
  const first = await layer(
    "first",
    "mkdir etc; echo one > etc/changed; echo same > etc/same; ln etc/same etc/hard; echo gone > etc/gone; mkdir bin; mknod bin/vi c 0 0; ln -s changed etc/soft",
  );
  const second = await layer(
    "second",
    "mkdir etc; echo two > etc/changed; mknod etc/gone c 0 0; mknod etc/motd c 0 0; echo new > etc/new; touch -d @1 etc",
  );
  return { blobs, first, second, both: [first, second] };
}

describe("two generations", () => {
  test("differ by what the second one did", async () => {
    using dir = scratch();
    const { blobs, first, both } = await generations(dir);
    const changes: string[] = [];
    const [before, after] = [[first], both].map((layers) =>
      new ChainTree(layers, blobs.read, { signal }).entries(),
    );
    if (before === undefined || after === undefined) throw new Error("no trees");
    for await (const { kind, path, differences } of diffTrees(before, after))
      changes.push(
        `${kind} ${path.toString()} ${differences.filter((what) => what !== "time").join()}`.trim(),
      );
    expect(changes).toEqual([
      "changed .",
      "changed etc",
      "changed etc/changed content",
      "deleted etc/gone",
      "deleted etc/motd",
      "added etc/new",
    ]);
  });

  test("a file is found by its path, hard links lead to their content", async () => {
    using dir = scratch();
    const { blobs, both } = await generations(dir);
    const tree = new ChainTree(both, blobs.read, { signal });
    const cat = async (path: string) =>
      Buffer.concat(await Array.fromAsync(tree.content(await tree.find(layerPath(path))))).toString();
    expect(await cat("/etc/changed")).toBe("two\n");
    expect(await cat("etc/hard")).toBe("same\n");
    await expect(cat("/etc/gone")).rejects.toMatchObject({
      reason: "FILE_WITHOUT_CONTENT",
      message: "/etc/gone is deleted, which has no content to show",
    });
    await expect(cat("/etc/soft")).rejects.toMatchObject({
      message: expect.stringContaining("a link to changed"),
    });
    await expect(cat("/etc")).rejects.toMatchObject({ reason: "FILE_WITHOUT_CONTENT" });
    await expect(cat("/etc/passwd")).rejects.toMatchObject({ reason: "FILE_NOT_FOUND" });
    const below = await Array.fromAsync(tree.below(layerPath("bin")));
    expect(below.map(({ entry }) => `${entry.path.toString()} ${entry.type}`)).toEqual([
      "bin directory",
      "bin/vi whiteout",
    ]);
  });

  test("verify; any changed byte of any blob is found", { timeout: 60_000 }, async () => {
    using dir = scratch();
    const { blobs, first } = await generations(dir);
    let bytes = 0;
    await verifyLayer(blobs.read, first, { signal, onBytes: (count) => (bytes += count) });
    expect(bytes).toBe(first.size + first.index.size + first.toc.size);
    for (const { digest } of [first, first.index, first.toc]) {
      const path = blobs.path(digest);
      const whole = readFileSync(path);
      for (let at = 0; at < whole.length; at += Math.ceil(whole.length / 25)) {
        const damaged = Buffer.from(whole);
        damaged[at] = (damaged[at] ?? 0) ^ 1;
        writeFileSync(path, damaged);
        await expect(verifyLayer(blobs.read, first, { signal })).rejects.toMatchObject({ code: "data-loss" });
      }
      writeFileSync(path, whole);
    }
    await verifyLayer(blobs.read, first, { signal });
  });

  test("encrypted layers are read with their key alone", async () => {
    using dir = scratch();
    mkdirSync(dir.at("upper"));
    shell("mkdir etc; echo secret > etc/file; ln etc/file etc/hard", dir.at("upper"));
    const keys = parseKeyFile(Buffer.alloc(32, 7), "test");
    const blobs = new Blobs();
    const layer = await blobs.pack(dir.at("upper"), dir.at("layer"), keys[0]);
    const tree = new ChainTree([layer], blobs.read, { keys, signal });
    const file = await tree.find(layerPath("etc/hard"));
    expect(Buffer.concat(await Array.fromAsync(tree.content(file))).toString()).toBe("secret\n");
    await verifyLayer(blobs.read, layer, { keys, signal });
    const others = parseKeyFile(Buffer.alloc(32, 8), "other");
    for (const wrong of [[], others]) {
      const missing = { reason: "ENCRYPTION_KEY_MISSING" };
      await expect(verifyLayer(blobs.read, layer, { keys: wrong, signal })).rejects.toMatchObject(missing);
      const closed = new ChainTree([layer], blobs.read, { keys: wrong, signal });
      await expect(Array.fromAsync(closed.entries())).rejects.toMatchObject(missing);
    }
  });

  test("a table of contents of another layer is found", async () => {
    using dir = scratch();
    const { blobs, first, second } = await generations(dir);
    await expect(verifyLayer(blobs.read, { ...first, toc: second.toc }, { signal })).rejects.toMatchObject({
      reason: "ARCHIVE_CORRUPT",
    });
    await expect(
      verifyLayer(blobs.read, { ...first, index: second.index }, { signal }),
    ).rejects.toMatchObject({ code: "data-loss" });
    await expect(verifyLayer(blobs.read, { ...first, entries: 3 }, { signal })).rejects.toMatchObject({
      code: "data-loss",
    });
  });
});
