import { join } from "node:path";
import { run } from "@aeon/standalone";
import { row, type BenchmarkContext, type Row } from "../benchmark.ts";
import { sizesOf } from "./sizes.ts";

const program = join(import.meta.dirname, "../../../packages/rootfs-backup/test/measure-store.ts");
const megabyte = 1e6;
const slowestShare = 0.9;
const slowestList = 1.5;

interface Upload {
  readonly store: number;
  readonly raw: number;
}
interface List {
  readonly few: number;
  readonly amongFew: number;
  readonly amongMany: number;
}

/** Stores by themselves: uploads to a bucket of Ceph, and a list among many backups. */
export async function* store({ progress, quick, ...context }: BenchmarkContext): AsyncIterable<Row> {
  const { backups } = sizesOf({ progress, quick, ...context });
  progress("uploading to a bucket, and the same bytes by bare requests");
  const upload = await measure<Upload>("upload", quick ? 40e6 : 1e9, quick ? 1 : 3);
  yield row({
    name: "uploading an archive to a bucket, against bare requests of the same client from memory",
    unit: "MB/s",
    value: upload.store / megabyte,
    peer: upload.raw / megabyte,
    goal: { of: "ratio", atLeast: slowestShare },
  });
  progress(`listing one workload among ${backups} backups`);
  const list = await measure<List>("list", backups);
  yield row({
    name: `listing one workload among ${backups} backups, against among ${list.few}`,
    unit: "ms",
    value: list.amongMany,
    peer: list.amongFew,
    goal: { of: "ratio", atMost: slowestList },
  });
}

async function measure<Result>(...args: readonly (string | number)[]): Promise<Result> {
  const { stdout } = await run(process.execPath, ["--conditions=@aeon/source", program, ...args.map(String)]);
  const result: Result = JSON.parse(stdout);
  return result;
}
