import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { launchContainerd, temporaryFolder } from "@aeon/testkit";
import { agentPaths, startAgent } from "../../servers/agent.ts";
import { cpuSeconds } from "../process-costs.ts";
import { row, type BenchmarkContext, type Row } from "../benchmark.ts";
import { median } from "../statistics.ts";

const starts = 7;
const settleMs = 15_000;
const watchMs = 30_000;

/** What the agent costs a node on which nothing happens. */
export async function* agentAtRest({ signal, progress }: BenchmarkContext): AsyncIterable<Row> {
  await using folder = await temporaryFolder("bench");
  const containerdFolder = join(folder.path, "c");

  await using containerd = await launchContainerd({
    folder: containerdFolder,
    proxySnapshotters: [{ name: "aeon", address: agentPaths(folder.path).socket }],
  });
  const options = { folder: folder.path, containerd: containerd.address };
  for (const untilReady of [false, true]) {
    progress(`starting the agent ${starts} times`);
    const times: number[] = [];
    for (let start = 0; start <= starts; start++) {
      signal.throwIfAborted();
      await using agent = await startAgent({ ...options, untilReady });
      if (start > 0) times.push(agent.readyMs);
    }
    yield row({
      name: untilReady ? "agent, start to /readyz" : "agent, start to first call served",
      unit: "ms",
      value: median(times),
      goal: { of: "value", atMost: 400 },
    });
  }
  await using agent = await startAgent({ ...options, untilReady: true });
  progress(`agent at rest, ${(settleMs + watchMs) / 1000} s`);
  await sleep(settleMs, undefined, { signal });
  const before = await cpuSeconds(agent.pid);
  await sleep(watchMs, undefined, { signal });
  const used = (await cpuSeconds(agent.pid)) - before;
  yield row({
    name: "agent at rest, resident memory",
    unit: "MB",
    value: await residentMegabytes(agent.pid),
    goal: { of: "value", atMost: 80 },
  });
  yield row({
    name: "agent at rest, CPU",
    unit: "%",
    value: (used / (watchMs / 1000)) * 100,
    goal: { of: "value", atMost: 0.2 },
  });
}

async function residentMegabytes(pid: number): Promise<number> {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, "utf8")) ?? [];
  return (Number(kilobytes) * 1024) / 1e6;
}
