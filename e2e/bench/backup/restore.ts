import { open, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { run } from "@aeon/standalone";
import { growTree, seeded } from "@aeon/testkit";
import { row, type BenchmarkContext, type Row } from "../benchmark.ts";
import { journaledFolder } from "../file-systems.ts";
import { median } from "../statistics.ts";
import {
  mountAt,
  recordKeeper,
  startBackupNode,
  type BackupNode,
  type BackupNodeOptions,
} from "./backup-node.ts";
import { costsOfAgent, costsOfScript, type Costs } from "../process-costs.ts";
import { erofsMounts } from "./erofs.ts";
import { restored, timeMounts } from "./restored.ts";
import { imageBytes, sizesOf } from "./sizes.ts";

const prefetchedLimitMs = 50;
const changedShare = 0.01;
const incrementalLimit = 0.03;
const prefetchedStarts = 20;

/** Restores of a backed-up tree on fresh nodes, and the backup of a restored container that changed little. */
export async function* restore(context: BenchmarkContext): AsyncIterable<Row> {
  const { tree, rounds } = sizesOf(context);
  await using folder = await journaledFolder(imageBytes);
  await using containerd = await recordKeeper(folder.path);
  const shared = { containerd, store: join(folder.path, "store"), programs: folder.path };
  const at = (name: string): BackupNodeOptions => ({ ...shared, folder: join(folder.path, name) });
  const archive = join(folder.path, "peer.tar.zst");

  context.progress("backing up what is restored");
  let paths: readonly string[];
  let backup: string;
  let full: { readonly seconds: number; readonly bytes: number };
  {
    await using node = await startBackupNode(at("origin"));
    const container = await node.create("origin");
    paths = growTree(container.upperdir, tree).map((path) => path.slice(container.upperdir.length));
    await costsOfScript(
      `tar --xattrs --acls --sparse -cf - . | zstd -q -3 -T2 -o ${archive}`,
      container.upperdir,
      false,
    );
    await run("sync", ["--file-system", folder.path]);
    const from = performance.now();
    await node.remove(container);
    const { id, size } = await node.stored(container);
    full = { seconds: (performance.now() - from) / 1000, bytes: Number(size) };
    backup = id;
    await node.settled();
  }

  const results: { aeon: Costs; peer: Costs }[] = [];
  for (let round = 0; round < rounds; round += 1) {
    context.signal.throwIfAborted();
    context.progress(`restoring on a fresh node, round ${round + 1} of ${rounds}`);
    const name = `node-${round}`;
    const first = round % 2 === 0 ? await extractWithTar(archive, folder.path) : undefined;
    const node = await startBackupNode(at(name));
    try {
      const aeon = await costsOfAgent(node.agent.pid, async () => {
        const container = await restored(node, backup, "fresh");
        await node.mounts(container);
      });
      if (round === rounds - 1) {
        yield* prefetchedMounts(node, backup, context);
        yield* secondBackup({ node, backup, paths, full, folder: folder.path, context });
      }
      results.push({ aeon, peer: first ?? (await extractWithTar(archive, folder.path)) });
    } finally {
      await node[Symbol.asyncDispose]();
    }
    await rm(join(folder.path, name), { recursive: true });
  }
  yield* erofsMounts({ at, backup, context });
  const compare = (of: (costs: Costs) => number) => ({
    value: median(results.map(({ aeon }) => of(aeon))),
    peer: median(results.map(({ peer }) => of(peer))),
  });
  yield row({
    name: `restoring ${tree.files} files on ${folder.name}, request to Mounts, against tar -x and sync`,
    unit: "s",
    goal: { of: "ratio", atMost: 1 },
    ...compare(({ seconds }) => seconds),
  });
  yield row({ name: "  CPU of all processes", unit: "s", ...compare(({ cpuSeconds }) => cpuSeconds) });
  yield row({
    name: "  peak memory of all processes",
    unit: "MB",
    goal: { of: "value", atMost: 300 },
    ...compare(({ memory }) => memory / 1e6),
  });
}

async function extractWithTar(archive: string, folder: string): Promise<Costs> {
  const target = join(folder, "extracted");
  await mkdir(target);
  const script = `zstd -q -dc ${archive} | tar --xattrs --xattrs-include='*' --acls -xf - && sync --file-system .`;
  const costs = await costsOfScript(script, target, false);
  await rm(target, { recursive: true });
  return costs;
}

async function* prefetchedMounts(
  node: BackupNode,
  backup: string,
  { progress }: BenchmarkContext,
): AsyncIterable<Row> {
  progress("Mounts with the layers there already");
  const times = await timeMounts(node, backup, prefetchedStarts);
  yield row({
    name: "Mounts of a restored container, prefetched, p50",
    unit: "ms",
    value: median(times),
    goal: { of: "value", atMost: prefetchedLimitMs },
  });
  yield row({ name: "  worst", unit: "ms", value: Math.max(...times) });
}

interface SecondBackup {
  readonly node: BackupNode;
  readonly backup: string;
  readonly paths: readonly string[];
  readonly full: { readonly seconds: number; readonly bytes: number };
  readonly folder: string;
  readonly context: BenchmarkContext;
}

/** Changes one file in a hundred of a restored container and backs it up again. */
async function* secondBackup({
  node,
  backup,
  paths,
  full,
  folder,
  context,
}: SecondBackup): AsyncIterable<Row> {
  const rounds = context.quick ? 1 : 3;
  const results: { seconds: number; bytes: number }[] = [];
  for (let round = 0; round < rounds; round += 1) {
    context.progress(`second backup with 1 % changed, round ${round + 1} of ${rounds}`);
    const container = await restored(node, backup, "changed");
    {
      await using _ = await mountAt(join(folder, "merged"), await node.mounts(container));
      const random = seeded(round);
      const changed = Math.ceil(paths.length * changedShare);
      for (let count = 0; count < changed; count += 1) {
        const path = paths[Math.floor(random() * paths.length)] ?? "";
        await using file = await open(join(folder, "merged", path), "a");
        await file.write(`changed in round ${round}\n`);
      }
    }
    await run("sync", ["--file-system", folder]);
    const from = performance.now();
    await node.remove(container);
    const { size } = await node.stored(container);
    results.push({ seconds: (performance.now() - from) / 1000, bytes: Number(size) });
    await node.settled();
  }
  const goal = { of: "ratio", atMost: incrementalLimit } as const;
  yield row({
    name: "second backup, 1 % of the files changed, against the first",
    unit: "s",
    value: median(results.map(({ seconds }) => seconds)),
    peer: full.seconds,
    goal,
  });
  yield row({
    name: "  stored bytes",
    unit: "MB",
    value: median(results.map(({ bytes }) => bytes / 1e6)),
    peer: full.bytes / 1e6,
    goal,
  });
}
