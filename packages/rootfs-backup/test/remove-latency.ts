// Prints how long Remove of a kept snapshot takes, by the size of its layer. Usage: node remove-latency.ts [rounds]
import { execFileSync } from "node:child_process";
import { keyOf, call, startNode } from "./node.ts";
import { scratch } from "./scratch.ts";

const rounds = Number(process.argv[2] ?? 30);
using dir = scratch();
const shapes = {
  "not kept": { labels: {}, make: "echo 1 > a" },
  "1 file": { labels: { "backup.container.io/enabled": "true" }, make: "echo 1 > a" },
  "10 MB": {
    labels: { "backup.container.io/enabled": "true" },
    make: "dd if=/dev/zero of=a bs=1M count=10 status=none",
  },
  "5 000 files": { labels: { "backup.container.io/enabled": "true" }, make: "seq 1 5000 | xargs touch" },
  "1 GB": {
    labels: { "backup.container.io/enabled": "true" },
    make: "fallocate -l 1000000000 a",
  },
  "10 GB": {
    labels: { "backup.container.io/enabled": "true" },
    make: "fallocate -l 10000000000 a",
  },
} as const;
// Nothing is packed, which would disturb the measurement.
await using node = await startNode({
  root: dir.at("node"),
  config: { "staging-limit": "1TiB" },
  workerCommand: ["sleep", "3600"],
});
for (const [name, { labels, make }] of Object.entries(shapes)) {
  const times: number[] = [];
  for (
    let round = 0;
    round < (name === "10 GB" ? Math.min(rounds, 3) : name === "1 GB" ? Math.min(rounds, 20) : rounds);
    round += 1
  ) {
    const key = keyOf(`c-${round}`);
    const [mount] = await node.snapshotter.prepare({ key, labels }, call);
    execFileSync("sh", ["-c", make], { cwd: mount?.source });
    execFileSync("sync");
    const startedAt = performance.now();
    await node.snapshotter.remove({ key }, call);
    times.push(performance.now() - startedAt);
  }
  const sorted = times.toSorted((a, b) => a - b);
  const at = (part: number) =>
    (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0).toFixed(1);
  console.log(
    `${name.padEnd(14)} p50 ${at(0.5)} ms  p90 ${at(0.9)} ms  p99 ${at(0.99)} ms  max ${at(1)} ms  (${sorted.length} rounds)`,
  );
}
