import { debianFile } from "@aeon/testkit";
import { row, type BenchmarkContext, type Row } from "../benchmark.ts";
import { median } from "../statistics.ts";
import { startBackupNode, type BackupNodeOptions } from "./backup-node.ts";
import { restored, timeMounts } from "./restored.ts";

const limitMs = 150;
const starts = 20;
const restarts = 4;

export interface ErofsMounts {
  /** Where a node of that name is. */
  readonly at: (name: string) => BackupNodeOptions;
  readonly backup: string;
  readonly context: BenchmarkContext;
}

/** Mounts of restored containers on a node that keeps layers as images: as long as one is mounted, and right after a start. */
export async function* erofsMounts({ at, backup, context }: ErofsMounts): AsyncIterable<Row> {
  const { progress, quick } = context;
  const program = await debianFile("erofs-utils", "usr/bin/mkfs.erofs");
  const options = { ...at("images"), backup: { "restore-form": "erofs", "mkfs-erofs": program } };
  progress("restoring as an EROFS image");
  {
    await using node = await startBackupNode(options);
    const container = await restored(node, backup, "image");
    const from = performance.now();
    const [mount] = await node.mounts(container);
    yield row({
      name: "making an EROFS image of the tree, Mounts",
      unit: "s",
      value: (performance.now() - from) / 1000,
    });
    if (mount === undefined) throw new Error("a restored container has no mount");
    const times = await timeMounts(node, backup, starts);
    yield row({
      name: "Mounts of a restored container, EROFS image there and mounted, p50",
      unit: "ms",
      value: median(times),
      goal: { of: "value", atMost: limitMs },
    });
    yield row({ name: "  worst", unit: "ms", value: Math.max(...times) });
  }
  const first: number[] = [];
  for (let count = 0; count < (quick ? 1 : restarts); count += 1) {
    progress(`the first Mounts after a start, with the image there, ${count + 1}`);
    await using node = await startBackupNode(options);
    first.push(...(await timeMounts(node, backup, 1)));
  }
  yield row({
    name: `Mounts with the image there and not mounted, worst of ${first.length}`,
    unit: "ms",
    value: Math.max(...first),
    goal: { of: "value", atMost: limitMs },
  });
}
