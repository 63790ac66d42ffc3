import { open, readFile, unlink } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { run } from "@aeon/standalone";
import { growTree, temporaryFolder } from "@aeon/testkit";
import { row, type BenchmarkContext, type Row } from "../benchmark.ts";
import { startLoad, type LoadGenerator } from "../load-generator.ts";
import { recordKeeper, startBackupNode, type BackupNode } from "./backup-node.ts";

/** What the probe inside the agent saw, in milliseconds. */
export interface LoopReport {
  readonly samples: number;
  /** How late timers came. */
  readonly lag: { readonly max: number; readonly p999: number };
  /** The part of that in which the main thread was not kept waiting for a processor. */
  readonly own: { readonly max: number; readonly p999: number; readonly over10: number };
}

const limitMs = 10;
const workers = 16;
const loadMs = 12_000;
const quickLoadMs = 5000;
const churners = 3;

/**
 * How long the agent's event loop is blocked while sixteen clients make and remove snapshots, containers with files
 * are backed up and restored, and another process writes and flushes on the same disk.
 */
export async function* eventLoop({ signal, progress, quick }: BenchmarkContext): AsyncIterable<Row> {
  await using folder = await temporaryFolder("bench");
  await using containerd = await recordKeeper(folder.path);
  const report = join(folder.path, "loop.json");
  const probe = join(import.meta.dirname, "event-loop-probe.ts");
  await using node = await startBackupNode({
    containerd,
    folder: join(folder.path, "n"),
    nodeArguments: ["--import", probe],
    environment: { AEON_PROBE_REPORT: report },
  });
  await using load = await startLoad(node.agent.socket);
  await load.ask({ do: "chain", count: 10 });
  await load.ask({ do: "cycles", count: 500, workers });
  await churn(node, AbortSignal.timeout(1000));
  const measure = async (): Promise<LoopReport> => {
    const done = AbortSignal.any([signal, AbortSignal.timeout(quick ? quickLoadMs : loadMs)]);
    process.kill(node.agent.pid, "SIGUSR2");
    await Promise.all([
      cycle(load, done),
      ...Array.from({ length: churners }, () => churn(node, done)),
      writeAndFlush(folder.path, done),
    ]);
    process.kill(node.agent.pid, "SIGUSR2");
    await node.settled();
    await sleep(200);
    return JSON.parse(await readFile(report, "utf8")) as LoopReport;
  };
  progress("snapshot and backup load beside a busy disk");
  const usual = await measure();
  yield row({ name: "timers late under load, for any reason, worst", unit: "ms", value: usual.lag.max });
  yield row({ name: "  p99.9", unit: "ms", value: usual.lag.p999 });
  // What remains when its threads run before all others is the agent's own doing, or that of the machine below.
  await run("chrt", ["--all-tasks", "--reset-on-fork", "--fifo", "--pid", "10", String(node.agent.pid)]);
  progress("the same, with the agent first in the queue for processors");
  const { own, samples } = await measure();
  yield row({
    name: "event loop blocked by the agent itself, worst",
    unit: "ms",
    value: own.max,
    goal: { of: "value", atMost: limitMs },
  });
  yield row({ name: "  p99.9", unit: "ms", value: own.p999, goal: { of: "value", atMost: limitMs } });
  yield row({ name: `  longer than ${limitMs} ms, of ${samples} samples`, unit: "times", value: own.over10 });
}

async function cycle(load: LoadGenerator, done: AbortSignal): Promise<void> {
  while (!done.aborted) await load.ask({ do: "cycles", count: 200, workers });
}

/** Containers with files that come, are restored and go, one after the other. */
async function churn(node: BackupNode, done: AbortSignal): Promise<void> {
  for (let seed = 0; !done.aborted; seed += 1) {
    const first = await node.create("churn");
    growTree(first.upperdir, { seed, files: 150, bytes: 2e6 });
    await node.remove(first);
    const { id } = await node.stored(first);
    const next = await node.create("churn");
    await node.admin.requestRestore({ backupId: id, namespace: "default", containerId: next.id });
    await node.mounts(next);
    await node.remove(next);
    await node.stored(next);
  }
}

/** Keeps the disk busy; the writing itself happens on other threads of this process. */
async function writeAndFlush(folder: string, done: AbortSignal): Promise<void> {
  const path = join(folder, "busy");
  const bytes = Buffer.alloc(64e6);
  while (!done.aborted) {
    await using file = await open(path, "w");
    await file.write(bytes);
    await file.sync();
  }
  await unlink(path);
}
