import { mkdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { run } from "@aeon/standalone";
import { growFile, growTree } from "@aeon/testkit";
import { row, type BenchmarkContext, type Row } from "../benchmark.ts";
import { journaledFolder, type MeasuredFolder } from "../file-systems.ts";
import { median } from "../statistics.ts";
import { recordKeeper, startBackupNode, type BackupNode } from "./backup-node.ts";
import { costsOfAgent, costsOfScript, type Costs } from "../process-costs.ts";
import { imageBytes, sizesOf } from "./sizes.ts";

interface Material {
  readonly name: string;
  readonly grow: (folder: string) => void;
  readonly rounds: number;
}

/** What was packed, and how large the result is. */
interface Packed extends Costs {
  readonly bytes: number;
}

const megabyte = 1e6;
const memoryLimit = 300;

/** From the removal of a container to its backup in the posix store, against tar and zstd at the same priority. */
export async function* pack(context: BenchmarkContext): AsyncIterable<Row> {
  const { tree, file, rounds, fileRounds } = sizesOf(context);
  await using folder = await journaledFolder(imageBytes);
  await using containerd = await recordKeeper(folder.path);
  await using node = await startBackupNode({ containerd, folder: join(folder.path, "n") });
  const materials: readonly Material[] = [
    { name: `${tree.files} files`, grow: (path) => void growTree(path, tree), rounds },
    {
      name: "one large file",
      grow: (path) => growFile(join(path, "file"), { seed: 2, bytes: file }),
      rounds: fileRounds,
    },
  ];
  for (const material of materials) yield* packOne(material, node, folder, context);
}

async function* packOne(
  { name, grow, rounds }: Material,
  node: BackupNode,
  { path: folder, name: place }: MeasuredFolder,
  context: BenchmarkContext,
): AsyncIterable<Row> {
  const twin = join(folder, "twin");
  await mkdir(twin);
  grow(twin);
  const { stdout } = await run("du", ["--summarize", "--apparent-size", "--block-size=1", twin]);
  const raw = Number.parseInt(stdout, 10);
  const results: { aeon: Packed; peer: Packed }[] = [];
  for (let round = 0; round < rounds; round += 1) {
    context.signal.throwIfAborted();
    context.progress(`packing ${name}, ${(raw / megabyte).toFixed(0)} MB, round ${round + 1} of ${rounds}`);
    const container = await node.create("pack");
    grow(container.upperdir);
    await run("sync", ["--file-system", folder]);
    const first = round % 2 === 0 ? await packWithTar(twin, folder) : undefined;
    let bytes = 0;
    const aeon = await costsOfAgent(node.agent.pid, async () => {
      await node.remove(container);
      bytes = Number((await node.stored(container)).size);
    });
    await node.settled();
    results.push({ aeon: { ...aeon, bytes }, peer: first ?? (await packWithTar(twin, folder)) });
  }
  await rm(twin, { recursive: true });
  const compare = (of: (packed: Packed) => number) => ({
    value: median(results.map(({ aeon }) => of(aeon))),
    peer: median(results.map(({ peer }) => of(peer))),
  });
  yield row({
    name: `packing ${name} on ${place}, removal to stored`,
    unit: "MB/s",
    goal: { of: "ratio", atLeast: 1 },
    ...compare(({ seconds }) => raw / megabyte / seconds),
  });
  yield row({
    name: "  CPU of all processes",
    unit: "s",
    goal: { of: "ratio", atMost: 1 },
    ...compare(({ cpuSeconds }) => cpuSeconds),
  });
  yield row({
    name: "  peak memory of all processes",
    unit: "MB",
    goal: { of: "value", atMost: memoryLimit },
    ...compare(({ memory }) => memory / megabyte),
  });
  yield row({ name: "  packed size", unit: "MB", ...compare(({ bytes }) => bytes / megabyte) });
}

async function packWithTar(tree: string, folder: string): Promise<Packed> {
  const target = join(folder, "twin.tar.zst");
  const script = `tar --xattrs --acls --sparse -cf - . | zstd -q -3 -T2 -o ${target}`;
  const costs = await costsOfScript(script, tree, true);
  const { size } = await stat(target);
  await rm(target);
  return { ...costs, bytes: size };
}
