import { lstatSync, mkdirSync } from "node:fs";
import { describeTree, difference } from "@aeon/testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import { packFile, unpackFile } from "../src/index.ts";
import { mountAt } from "./node.ts";
import { makeTree, randomTree, type Node } from "./random-tree.ts";
import { scratch, shell, type Scratch } from "./scratch.ts";

/** Set to repeat a failure that a run printed. */
const seed = Number(process.env["AEON_TEST_SEED"] ?? Date.now() % 2 ** 31);
const runs = Number(process.env["AEON_TEST_RUNS"] ?? 40);
console.log(`squash properties: seed ${seed}, ${runs} runs`);

const alphabet = ["a", "b", "c", "d", ".wh.a", "e"];

/** The same tree with few different names, so that layers meet, and without sockets, which no archive holds. */
function crowded(nodes: readonly Node[]): readonly Node[] {
  const taken = new Set<string>();
  return nodes.flatMap((node) => {
    const sum = node.name.reduce((total, byte) => total + byte, 0);
    const name = alphabet[sum % alphabet.length] ?? "a";
    if (taken.has(name) || node.body.kind === "socket") return [];
    taken.add(name);
    const { body } = node;
    const inside = body.kind === "directory" ? { ...body, children: crowded(body.children) } : body;
    return [{ ...node, name: new TextEncoder().encode(name), body: inside }];
  });
}

interface Seen {
  readonly tree: ReadonlyMap<string, string>;
  /** Deleted names that overlayfs lists all the same, for it looks for them in merged folders only. */
  readonly ghosts: readonly string[];
}

/** What a container on these folders, the topmost first, sees; link groups of one name are no links. */
async function seen(dir: Scratch, lowers: readonly string[]): Promise<Seen> {
  const options = [`lowerdir=${lowers.join(":")}`, "ro", "index=off", "metacopy=off", "redirect_dir=off"];
  await using _ = await mountAt(dir.at("merged"), [
    { type: "overlay", source: "overlay", target: "", options },
  ]);
  const ghosts: string[] = [];
  const isGhost = (path: string): boolean => {
    const isThere = lstatSync(Buffer.from(dir.at("merged", path), "latin1"), { throwIfNoEntry: false });
    if (isThere === undefined) ghosts.push(path);
    return isThere === undefined;
  };
  const tree = await describeTree(dir.at("merged"), { without: isGhost });
  const groups = new Map<string, number>();
  for (const text of tree.values()) {
    const group = / same=(.*)$/s.exec(text)?.[1];
    if (group !== undefined) groups.set(group, (groups.get(group) ?? 0) + 1);
  }
  for (const [path, text] of tree)
    if (text.endsWith(` same=${path}`) && groups.get(path) === 1)
      tree.set(path, text.slice(0, -` same=${path}`.length));
  return { tree, ghosts };
}

async function squashed(dir: Scratch, layers: readonly string[]): Promise<string> {
  const [top = "", ...below] = layers;
  const { layer } = await packFile({
    source: dir.at(top),
    lowers: below.map((name) => dir.at(name)).toReversed(),
    target: dir.at("blob"),
    overlay: "trusted",
    level: 1,
  });
  await unpackFile({ source: dir.at("blob"), layer, target: dir.at("one"), overlay: "trusted" });
  return dir.at("one");
}

test(
  "one layer made of several shows what they show together, on any image",
  { timeout: 600_000 },
  async () => {
    const [tree, plain] = [randomTree({ overlay: true }), randomTree({ overlay: false })];
    await fc.assert(
      fc.asyncProperty(fc.array(tree, { minLength: 2, maxLength: 4 }), plain, async (layers, image) => {
        using dir = scratch();
        const names = layers.map((_, index) => `l${index}`);
        for (const [index, nodes] of [...layers, image].entries()) {
          const name = names[index] ?? "image";
          mkdirSync(dir.at(name));
          makeTree(dir.at(name), crowded(nodes));
        }
        const one = await squashed(dir, names);
        const stacked = await seen(dir, [...names.map((name) => dir.at(name)), dir.at("image")]);
        const merged = await seen(dir, [one, dir.at("image")]);
        expect(difference(stacked.tree, merged.tree)).toEqual([]);
        expect(merged.ghosts).toEqual([]);
      }),
      { seed, numRuns: runs, endOnFailure: true },
    );
  },
);

test("what real containers did, one after the other, becomes one layer", async () => {
  using dir = scratch();
  const scripts = [
    "mkdir -p image/a/b image/keep; echo 1 > image/a/b/f; echo 2 > image/keep/g; echo 3 > image/gone; ln image/gone image/keep/hard",
    "rm -rf a/b; mkdir a/b; echo new > a/b/n; ln a/b/n a/linked; rm gone; mknod null c 1 3; mkdir -p new/deep/er; echo x > new/deep/er/x; echo y > new/deep/y",
    "mv a/b/n a/b/moved; rm a/linked; echo back > gone; rm -rf keep; echo file > keep; chmod 700 .; rm new/deep/er/x new/deep/y",
    "rm keep; mkdir keep; echo inside > keep/x; rm -rf a; mkdir a; touch a/.wh.odd; rm gone",
  ];
  shell(`umask 022; ${scripts[0]}`, dir.path);
  const names: string[] = [];
  for (const [index, script] of scripts.slice(1).entries()) {
    const name = `l${index}`;
    shell(`mkdir ${name} work-${name}`, dir.path);
    const lowers = [...names.toReversed().map((each) => dir.at(each)), dir.at("image")];
    const options = [
      `lowerdir=${lowers.join(":")}`,
      `upperdir=${dir.at(name)}`,
      `workdir=${dir.at(`work-${name}`)}`,
      "index=off,metacopy=off,redirect_dir=off",
    ];
    await using _ = await mountAt(dir.at("merged"), [
      { type: "overlay", source: "overlay", target: "", options },
    ]);
    shell(script, dir.at("merged"));
    names.push(name);
  }
  const top = names.toReversed();
  const stacked = await seen(dir, [...top.map((name) => dir.at(name)), dir.at("image")]);
  const one = await squashed(dir, top);
  const merged = await seen(dir, [one, dir.at("image")]);
  expect(difference(stacked.tree, merged.tree)).toEqual([]);
  expect({ stacked: stacked.ghosts, merged: merged.ghosts }).toEqual({ stacked: [], merged: [] });
  expect(stacked.tree.has("./gone")).toBe(false);
  expect(stacked.tree.has("./keep/x")).toBe(true);
});
