import { cpSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { AeonError, containerId, type BackupId } from "@aeon/core";
import { describeTree, difference, seeded } from "@aeon/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { cycle, enabled, type Ran } from "./containers.ts";
import { call, keyOf, mountAt, space, startNode } from "./node.ts";
import { filesBelow, scratch, type Scratch } from "./scratch.ts";

const seed = Number(process.env["AEON_TEST_SEED"] ?? Date.now() % 2 ** 31);
const rounds = Number(process.env["AEON_DAMAGE_ROUNDS"] ?? 60);

/** A store with two backups, the second on top of the first, and what they hold. */
let origin: Scratch;
let backups: readonly { readonly id: BackupId; readonly tree: Ran["after"] }[];

beforeAll(async () => {
  origin = scratch();
  const store = { path: origin.at("store") };
  await using node = await startNode({ root: origin.at("node"), config: { store } });
  const first = await cycle(node, origin, {
    id: "first",
    from: undefined,
    script:
      "mkdir -p d/e; seq 1 20000 > d/numbers; ln d/numbers d/e/hard; ln -s numbers d/link; echo old > file",
  });
  const second = await cycle(node, origin, {
    id: "second",
    from: first.backup,
    script: "rm d/link; echo new > file; head -c 200000 /dev/urandom > random",
  });
  await node.backups.settled(call.signal);
  backups = [
    { id: first.backup, tree: first.ran.after },
    { id: second.backup, tree: second.ran.after },
  ];
});
afterAll(() => origin[Symbol.dispose]());

type Damage = (file: string, random: () => number, others: readonly string[]) => void;

const pick = <T>(values: readonly T[], random: () => number): T => {
  const value = values[Math.floor(random() * values.length)];
  if (value === undefined) throw new Error("nothing to pick from");
  return value;
};

/** Replaces what matches by something else of the same kind; a file without it is cut short. */
const rewrite =
  (pattern: RegExp, by: string): Damage =>
  (file) => {
    const text = readFileSync(file, "latin1");
    const changed = text.replace(pattern, by);
    writeFileSync(file, changed === text ? text.slice(0, text.length / 2) : changed, "latin1");
  };

const damages: Readonly<Record<string, Damage>> = {
  "a flipped bit": (file, random) => {
    const bytes = readFileSync(file);
    const at = Math.floor(random() * bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(random() * 8));
    writeFileSync(file, bytes);
  },
  truncation: (file, random) => truncateSync(file, Math.floor(random() * statSync(file).size)),
  "nothing left": (file) => truncateSync(file, 0),
  "zeros at the end": (file) => truncateSync(file, statSync(file).size + 4096),
  "three gigabytes": (file) => truncateSync(file, 3 * 2 ** 30),
  "a part repeated": (file) => {
    const bytes = readFileSync(file);
    writeFileSync(file, Buffer.concat([bytes, bytes.subarray(bytes.length / 2)]));
  },
  "halves in the wrong order": (file) => {
    const bytes = readFileSync(file);
    writeFileSync(
      file,
      Buffer.concat([bytes.subarray(bytes.length / 2), bytes.subarray(0, bytes.length / 2)]),
    );
  },
  "another object of the store": (file, random, others) =>
    writeFileSync(file, readFileSync(pick(others, random))),
  "a digest that is a path": rewrite(/sha256:[0-9a-f]{64}/, "sha256:../../../../../../../../etc/passwd"),
  "another digest": rewrite(/sha256:[0-9a-f]{64}/g, `sha256:${"0".repeat(64)}`),
  "a size beyond all": rewrite(/"(size|rawSize|entries)":\d+/g, '"$1":9007199254740991'),
  "another tenant": rewrite(/"tenant":"[^"]*"/g, '"tenant":"../stranger"'),
  "deep nesting": (file) => writeFileSync(file, `${"[".repeat(200_000)}${"]".repeat(200_000)}`),
  "names of a prototype": (file) =>
    writeFileSync(file, '{"__proto__":{"id":"x"},"constructor":{},"format":1}'),
};

const codes = new Set(["data-loss", "unavailable", "not-found", "permission-denied"]);

/** What is wrong with an outcome: another tree than was stored, or an error that tells people nothing. */
function wrongWith(found: ReadonlyMap<string, string> | AeonError, tree: Ran["after"]): readonly string[] {
  if (!(found instanceof AeonError)) return difference(tree, found);
  const { code, message } = found;
  return codes.has(code) && !/undefined|\[object|is not a function/.test(message)
    ? []
    : [`${code}: ${message}`];
}

/** Restores a backup on a node of its own; gives the tree, or the error that refused it. */
async function restored(dir: Scratch, id: BackupId): Promise<ReadonlyMap<string, string> | AeonError> {
  await using node = await startNode({ root: dir.at("node"), config: { store: { path: dir.at("store") } } });
  node.containers.add("c", enabled);
  const key = keyOf("c");
  await node.snapshotter.prepare({ key, labels: {} }, call);
  try {
    await node.backups.list(call.signal);
    await node.backups.requestRestore(
      { backupId: id, namespace: space, containerId: containerId("c") },
      call.signal,
    );
    await using _ = await mountAt(dir.at("merged"), await node.snapshotter.mounts({ key }, call));
    return await describeTree(dir.at("merged"));
  } catch (error) {
    if (error instanceof AeonError) return error;
    throw error;
  }
}

test(
  `a damaged store gives exactly what was stored, or says what is wrong (seed ${seed}, ${rounds} rounds)`,
  { timeout: 1_800_000 },
  async () => {
    const random = seeded(seed);
    const outcomes: Record<string, number> = {};
    for (let round = 0; round < rounds; round += 1) {
      using dir = scratch();
      cpSync(origin.at("store"), dir.at("store"), { recursive: true });
      const files = filesBelow(dir.at("store")).toSorted();
      // The second needs the objects of both.
      const backup = pick([...backups, ...backups.slice(1), ...backups.slice(1)], random);
      const names = Object.keys(damages);
      // Every kind comes up, on whatever object.
      const name = names[round % names.length] ?? "truncation";
      const file = pick(files, random);
      const what = `round ${round}: ${name} in ${file.slice(dir.at("store").length)}, backup ${backup.id}`;
      damages[name]?.(file, random, files);
      const found = await restored(dir, backup.id);
      const outcome = found instanceof AeonError ? found.reason : "as it was";
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
      expect({ what, wrong: wrongWith(found, backup.tree) }).toEqual({ what, wrong: [] });
    }
    console.log(`damage by seed ${seed}`, outcomes);
    expect(Object.keys(outcomes).length).toBeGreaterThan(1);
  },
);

test("what is damaged in one backup does not hide the others", { timeout: 60_000 }, async () => {
  using dir = scratch();
  cpSync(origin.at("store"), dir.at("store"), { recursive: true });
  const [first, second] = backups;
  for (const file of filesBelow(dir.at("store"))) if (file.includes(`${second?.id}`)) truncateSync(file, 7);
  await using node = await startNode({ root: dir.at("node"), config: { store: { path: dir.at("store") } } });
  const listed = (await node.backups.list(call.signal)).map(({ id }) => id);
  expect(listed).toContain(first?.id);
});
