import { Parser, type ReadEntry } from "tar";
import fc from "fast-check";
import { expect, test } from "vitest";
import { buildLayer } from "./build-layer.ts";
import type { LayerEntry } from "./layer-entry.ts";

interface Read {
  readonly path: string;
  readonly type: string;
  readonly mode: number | undefined;
  readonly content: string;
  readonly linkpath: string | undefined;
}

function readTar(bytes: Buffer): Promise<readonly Read[]> {
  const { promise, resolve, reject } = Promise.withResolvers<readonly Read[]>();
  const found: Read[] = [];
  const parser = new Parser({ strict: true });
  parser.on("entry", (entry: ReadEntry) => {
    const chunks: Buffer[] = [];
    entry.on("data", (chunk: Buffer) => chunks.push(chunk));
    entry.on("end", () =>
      found.push({
        path: entry.path,
        type: entry.type,
        mode: entry.mode,
        content: Buffer.concat(chunks).toString(),
        linkpath: entry.linkpath,
      }),
    );
  });
  parser.on("end", () => resolve(found));
  parser.on("error", reject);
  parser.end(bytes);
  return promise;
}

test("an independent reader finds every kind of entry", async () => {
  const entries: readonly LayerEntry[] = [
    { type: "directory", path: "d", mode: 0o1777 },
    { type: "file", path: "d/f", mode: 0o4755, content: "hello" },
    { type: "symlink", path: "d/s", target: "/abs" },
    { type: "link", path: "d/l", target: "d/f" },
    { type: "character", path: "d/null", major: 1, minor: 3 },
    { type: "fifo", path: "d/p" },
    { type: "whiteout", path: "d/gone" },
    { type: "opaque", path: "d" },
  ];
  expect(await readTar(buildLayer(entries))).toMatchObject([
    { path: "d/", type: "Directory", mode: 0o1777 },
    { path: "d/f", type: "File", mode: 0o4755, content: "hello" },
    { path: "d/s", type: "SymbolicLink", linkpath: "/abs" },
    { path: "d/l", type: "Link", linkpath: "d/f" },
    { path: "d/null", type: "CharacterDevice" },
    { path: "d/p", type: "FIFO" },
    { path: "d/.wh.gone", type: "File" },
    { path: "d/.wh..wh..opq", type: "File" },
  ]);
});

const part = fc
  .string({ unit: "grapheme", minLength: 1, maxLength: 80 })
  .filter((text) => !/[/\0\\]|^\.{1,2}$/.test(text));

test("names of any length and alphabet and contents of any size survive", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(part, { minLength: 1, maxLength: 4 }),
      fc.string({ maxLength: 2000 }),
      async (parts, content) => {
        const path = parts.join("/");
        const [entry] = await readTar(
          buildLayer([{ type: "file", path, content, xattrs: { "user.x": "\0é" } }]),
        );
        expect(entry).toMatchObject({ path, content });
      },
    ),
  );
});

test.each(["/abs", "a/../b", "a//b", "./a", "", "a/", "a\0b"])("path %j is refused", (path) => {
  expect(() => buildLayer([{ type: "file", path, content: "" }])).toThrow(
    expect.objectContaining({ reason: "LAYER_ENTRY_INVALID" }),
  );
});
