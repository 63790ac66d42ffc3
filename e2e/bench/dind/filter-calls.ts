import { readFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { docker } from "../../../packages/dind/test/support/cli.ts";
import {
  launchFilteredDocker,
  type FilteredDocker,
} from "../../../packages/dind/test/support/filtered-docker.ts";
import { row, type BenchmarkContext, type Row } from "../benchmark.ts";
import { median } from "../statistics.ts";
import { alternate } from "./alternate.ts";
import { besideHaproxy } from "./haproxy.ts";
import { uploads } from "./uploads.ts";
import { bundledFilter } from "./bundled-filter.ts";

/** What the filter adds to calls, runs and streams, and what it needs at rest. */
export async function* filterCalls(context: BenchmarkContext): AsyncIterable<Row> {
  const { signal, progress, quick } = context;
  progress("making the bundle");
  const program = await bundledFilter(signal);
  await using pod = await launchFilteredDocker({ program });
  yield row({
    name: "filter at rest, resident",
    unit: "MB",
    value: resident(pod),
    goal: { of: "value", atMost: 50 },
  });
  for (const path of ["/_ping", "/containers/json"]) {
    const { own, peer } = await alternate(quick ? 20 : 2000, pod, (socket) => timedCall(socket, path));
    yield row({
      name: `GET ${path}, added at the median`,
      unit: "ms",
      value: median(own) - median(peer),
      goal: { of: "value", atMost: 0.3 },
    });
  }
  progress("docker run --rm");
  const runs = await alternate(quick ? 2 : 30, pod, (_socket, raw) => timedRun(pod, raw));
  yield row({
    name: "docker run --rm of a trivial container",
    unit: "ms",
    value: median(runs.own),
    peer: median(runs.peer),
    goal: { of: "ratio", atMost: 1.03 },
  });
  progress("streams");
  const megabytes = quick ? 50 : 1000;
  const rates = await alternate(quick ? 1 : 5, pod, (_socket, raw) => attachRate(pod, raw, megabytes));
  yield row({
    name: "bytes of an attached container",
    unit: "MB/s",
    value: median(rates.own),
    peer: median(rates.peer),
    goal: { of: "ratio", atLeast: 0.8 },
  });
  const before = resident(pod);
  await attachRate(pod, false, quick ? 50 : 5000);
  yield row({
    name: `resident memory added by a stream of ${quick ? 50 : 5000} MB`,
    unit: "MB",
    value: resident(pod) - before,
    goal: { of: "value", atMost: 20 },
  });
  yield* uploads(pod, context);
  yield* besideHaproxy(pod, context);
  progress("100 runs at once");
  const many = await Promise.all(
    Array.from({ length: quick ? 5 : 100 }, () =>
      docker(pod, ["run", "--rm", "busybox", "true"], { timeoutMs: 300_000 }),
    ),
  );
  yield row({
    name: "parallel runs that failed",
    unit: "runs",
    value: many.filter(({ code }) => code !== 0).length,
    goal: { of: "value", atMost: 0 },
  });
}

const agent = new Agent({ keepAlive: true });

async function timedCall(socketPath: string, path: string): Promise<number> {
  const from = performance.now();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  request({ socketPath, path, agent }, (answer) => answer.on("end", resolve).resume())
    .on("error", reject)
    .end();
  await promise;
  return performance.now() - from;
}

async function timedRun(pod: FilteredDocker, raw: boolean): Promise<number> {
  const from = performance.now();
  const { code, text } = await docker(pod, ["run", "--rm", "busybox", "true"], { raw });
  if (code !== 0) throw new Error(text);
  return performance.now() - from;
}

async function attachRate(pod: FilteredDocker, raw: boolean, megabytes: number): Promise<number> {
  const script = `dd if=/dev/zero bs=1M count=${megabytes} 2>/dev/null`;
  const args = ["run", "--rm", "--log-driver", "none", "busybox", "sh", "-c", script];
  const from = performance.now();
  const { bytes } = await docker(pod, args, { raw, discard: true, timeoutMs: 600_000 });
  if (bytes < megabytes * 1024 ** 2) throw new Error(`only ${bytes} bytes came`);
  return bytes / 1e6 / ((performance.now() - from) / 1000);
}

const resident = (pod: FilteredDocker): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pod.filterPid}/status`, "utf8"))?.[1] ?? Number.NaN) /
  1024;
