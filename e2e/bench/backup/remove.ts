import { mkdir, open, rename } from "node:fs/promises";
import { join } from "node:path";
import { linux } from "@aeon/core";
import { growFile } from "@aeon/testkit";
import { row, type BenchmarkContext, type Row } from "../benchmark.ts";
import { journaledFolder, ownFolder, type MeasuredFolder } from "../file-systems.ts";
import { median, quantile } from "../statistics.ts";
import { recordKeeper, startBackupNode, type BackupNode } from "./backup-node.ts";
import { imageBytes, sizesOf } from "./sizes.ts";

const limitMs = 5;
/** Bytes that a container wrote just before it ended, and how often. */
const dirtyBytes = 1e9;
const dirtyRounds = 2;
const warmUps = 10;

/** Remove of kept snapshots over gRPC, by the size of the layer, on both file systems. */
export async function* remove(context: BenchmarkContext): AsyncIterable<Row> {
  const { layers } = sizesOf(context);
  yield* removeOn(() => journaledFolder(imageBytes), layers, context);
  // What size does not change there it does not change elsewhere.
  yield* removeOn(ownFolder, layers.slice(0, 1), context);
}

async function* removeOn(
  place: () => Promise<MeasuredFolder>,
  layers: readonly number[],
  context: BenchmarkContext,
): AsyncIterable<Row> {
  const { removals } = sizesOf(context);
  await using folder = await place();
  await using containerd = await recordKeeper(folder.path);
  await using node = await startBackupNode({ containerd, folder: join(folder.path, "n") });
  for (let count = 0; count < warmUps; count += 1) await removeOnce(node, (path) => allocate(path, 4096));
  await node.settled();
  for (const bytes of layers) {
    const times: number[] = [];
    const bare: number[] = [];
    context.progress(`Remove of ${megabytes(bytes)} on ${folder.name}`);
    for (let count = 0; count < removals; count += 1) {
      context.signal.throwIfAborted();
      times.push(await removeOnce(node, (path) => allocate(path, bytes)));
      await node.settled();
      bare.push(await renameDurably(folder.path));
    }
    yield row({
      name: `Remove of a layer of ${megabytes(bytes)}, p99, ${folder.name} (peer: a durable rename)`,
      unit: "ms",
      value: quantile(times, 0.99),
      peer: quantile(bare, 0.99),
      goal: { of: "value", atMost: limitMs },
    });
    yield row({ name: "  p50", unit: "ms", value: median(times), peer: median(bare) });
  }
  context.progress(`Remove while another layer is packed on ${folder.name}`);
  const busy = await besidePacking(node, sizesOf(context).file / 2, removals);
  yield row({ name: "Remove while another layer is packed, p50", unit: "ms", value: median(busy) });
  yield row({ name: "  p99", unit: "ms", value: quantile(busy, 0.99) });
  context.progress(`Remove of files just written on ${folder.name}`);
  const dirty: number[] = [];
  for (let count = 0; count < (context.quick ? 1 : dirtyRounds); count += 1) {
    dirty.push(
      await removeOnce(node, async (path) =>
        growFile(path, { seed: count, bytes: context.quick ? 1e7 : dirtyBytes }),
      ),
    );
    await node.settled();
  }
  yield row({
    name: `Remove of ${megabytes(dirtyBytes)} not yet on disk, worst of ${dirty.length}`,
    unit: "ms",
    value: Math.max(...dirty),
  });
}

async function removeOnce(node: BackupNode, fill: (path: string) => Promise<void>): Promise<number> {
  const container = await node.create("remove");
  await fill(join(container.upperdir, "file"));
  return node.remove(container);
}

async function besidePacking(node: BackupNode, bytes: number, removals: number): Promise<readonly number[]> {
  await removeOnce(node, async (path) => growFile(path, { seed: 3, bytes }));
  const times: number[] = [];
  for (let count = 0; count < removals; count += 1)
    times.push(await removeOnce(node, (path) => allocate(path, 1e6)));
  await node.settled();
  return times;
}

/** What the disk itself takes at this moment to make a rename durable, once: a removal needs several such steps. */
async function renameDurably(folder: string): Promise<number> {
  const [from, to] = [join(folder, "rename-from"), join(folder, "rename-to")];
  await mkdir(from, { recursive: true });
  await mkdir(to, { recursive: true });
  const name = `moved-${performance.now()}`;
  await mkdir(join(from, name));
  await using parent = await open(to);
  const startedAt = performance.now();
  await rename(join(from, name), join(to, name));
  await parent.sync();
  return performance.now() - startedAt;
}

/** Blocks without data: as large as any file to a rename, and quick to make. */
async function allocate(path: string, bytes: number): Promise<void> {
  await using file = await open(path, "wx");
  await linux.allocate(file.fd, 0, bytes);
  await file.sync();
}

const megabytes = (bytes: number): string =>
  bytes >= 1e9 ? `${(bytes / 1e9).toFixed(0)} GB` : `${(bytes / 1e6).toFixed(0)} MB`;
