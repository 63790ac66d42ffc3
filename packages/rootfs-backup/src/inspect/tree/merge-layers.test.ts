import fc from "fast-check";
import { expect, test } from "vitest";
import type { TocEntry } from "../../archive/toc-entry.ts";
import { mergeLayers } from "./merge-layers.ts";
import { comparePaths, isBelow, layerPath } from "./tree-path.ts";

type Kind = "file" | "directory" | "opaque" | "whiteout";
type Layer = Readonly<Record<string, Kind>>;

const entryOf = (path: string, kind: Kind): TocEntry => ({
  path: Buffer.from(path),
  type: kind === "opaque" ? "directory" : kind,
  mode: 0,
  uid: 0,
  gid: 0,
  mtime: 0n,
  size: 0,
  opaque: kind === "opaque",
  xattrs: [],
});

async function* contents(layer: Layer): AsyncGenerator<TocEntry> {
  yield* Object.entries(layer)
    .map(([path, kind]) => entryOf(path, kind))
    .toSorted((a, b) => comparePaths(a.path, b.path));
}

async function merged(...layers: Layer[]): Promise<Record<string, string>> {
  const result: Record<string, string> = {};
  for await (const { entry, layer } of mergeLayers(layers.map(contents)))
    result[entry.path.toString()] = `${entry.type} ${layer}`;
  return result;
}

test("the upper layer wins, directories are merged", async () => {
  expect(
    await merged(
      { ".": "directory", a: "directory", "a/x": "file", "a/y": "file", "a.b": "file" },
      { ".": "directory", a: "directory", "a/y": "file", "a/z": "file" },
    ),
  ).toEqual({
    ".": "directory 1",
    a: "directory 1",
    "a/x": "file 0",
    "a/y": "file 1",
    "a/z": "file 1",
    "a.b": "file 0",
  });
});

test("deleted names stay as such only where the image may have them", async () => {
  expect(
    await merged(
      { a: "directory", "a/b": "directory", "a/b/c": "file", d: "opaque", "d/e": "file" },
      { a: "directory", "a/b": "whiteout", d: "directory", "d/e": "whiteout" },
    ),
  ).toEqual({ a: "directory 1", "a/b": "whiteout 1", d: "directory 1" });
});

test("opaque directories and replaced ones hide what was below", async () => {
  expect(
    await merged(
      { a: "directory", "a/old": "file", b: "directory", "b/old": "file", c: "file" },
      { a: "opaque", "a/new": "file", b: "file", c: "directory", "c/new": "file" },
      { a: "directory", "a/more": "file", b: "directory", "b/new": "file" },
    ),
  ).toEqual({
    a: "directory 2",
    "a/new": "file 1",
    "a/more": "file 2",
    b: "directory 2",
    "b/new": "file 2",
    c: "directory 1",
    "c/new": "file 1",
  });
});

async function* wrong(): AsyncGenerator<TocEntry> {
  yield entryOf("b", "file");
  yield entryOf("a", "file");
}

test("a table out of order is refused", async () => {
  await expect(Array.fromAsync(mergeLayers([wrong()]))).rejects.toMatchObject({ reason: "ARCHIVE_CORRUPT" });
});

/** What overlayfs would show, by applying one layer after the other to a flat map. */
function applied(layers: readonly Layer[]): Record<string, string> {
  const tree = new Map<string, string>();
  /** Directories and files that the image below cannot show through. */
  const hiding = new Set<string>();
  const clear = (path: string): void => {
    for (const key of [...tree.keys(), ...hiding])
      if (key.startsWith(`${path}/`)) [tree, hiding].forEach((set) => set.delete(key));
  };
  const isHidden = (path: string): boolean => [...hiding].some((folder) => path.startsWith(`${folder}/`));
  for (const [number, layer] of layers.entries())
    for (const path of Object.keys(layer).toSorted((a, b) => comparePaths(Buffer.from(a), Buffer.from(b)))) {
      const kind = layer[path] ?? "file";
      const before = tree.get(path)?.split(" ")[0];
      const replaces = before !== undefined && before !== "directory";
      if (kind === "whiteout") {
        clear(path);
        tree.delete(path);
        if (!isHidden(path)) tree.set(path, `whiteout ${number}`);
        hiding.add(path);
        continue;
      }
      if (kind === "file" || kind === "opaque") clear(path);
      if (kind !== "directory" || replaces) hiding.add(path);
      tree.set(path, `${kind === "opaque" ? "directory" : kind} ${number}`);
    }
  return Object.fromEntries(tree);
}

const names = fc.constantFrom("a", "b", "a.");
const layerArbitrary: fc.Arbitrary<Layer> = fc
  .array(
    fc.tuple(
      names,
      fc.option(names),
      fc.option(names),
      fc.constantFrom<Kind>("file", "directory", "opaque", "whiteout"),
    ),
    {
      maxLength: 8,
    },
  )
  .map((rows) => {
    const layer: Record<string, Kind> = {};
    for (const [first, second, third, kind] of rows) {
      const parts = [first, second, third].filter((part) => part !== null);
      const parents = parts.slice(0, -1).map((_, index) => parts.slice(0, index + 1).join("/"));
      if (parents.some((parent) => layer[parent] === "file" || layer[parent] === "whiteout")) continue;
      for (const parent of parents) layer[parent] ??= "directory";
      layer[parts.join("/")] ??= kind;
    }
    return layer;
  });

test("any chain is merged as if one layer were applied after the other", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(layerArbitrary, { maxLength: 4 }), async (layers) => {
      expect(await merged(...layers)).toEqual(applied(layers));
    }),
  );
});

test("paths are ordered and nested by their components", () => {
  const paths = ["a.b", "a/b", ".", "a", "a/b/c", "ab"].map((path) => Buffer.from(path));
  expect(paths.toSorted(comparePaths).map(String)).toEqual([".", "a", "a/b", "a/b/c", "a.b", "ab"]);
  expect(isBelow(Buffer.from("a.b"), Buffer.from("a"))).toBe(false);
  expect(isBelow(Buffer.from("a/b"), Buffer.from("a"))).toBe(true);
  expect(isBelow(Buffer.from("a"), Buffer.from("."))).toBe(true);
  expect(isBelow(Buffer.from("."), Buffer.from("."))).toBe(false);
});

test.each([
  ["/", "."],
  ["", "."],
  ["./etc//motd/", "etc/motd"],
  ["/etc/motd", "etc/motd"],
])("%j names %s", (text, path) => {
  expect(layerPath(text).toString()).toBe(path);
});
