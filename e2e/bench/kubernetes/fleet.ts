import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "@aeon/standalone";
import { startApiServer, type ApiServer } from "@aeon/testkit";
import { row, type BenchmarkContext, type Row } from "../benchmark.ts";
import { cpuSeconds } from "../process-costs.ts";
import { Connections, inParallel } from "./connections.ts";
import { backupObject, backupResource, backupStatus, podOf } from "./objects.ts";

/** Pods of the node that is looked at: the most that kubelet allows in usual clusters. */
const podsOfNode = 250;
/** Milliseconds for making pods; the full size takes what it needs. */
const fillMs = 60_000;

interface Size {
  readonly agents: number;
  readonly pods: number;
}
const sizes = {
  quick: { agents: 50, pods: 1500 },
  usual: { agents: 1000, pods: 20_000 },
  full: { agents: 5000, pods: 150_000 },
} satisfies Record<string, Size>;

const listOf = (node: string): string =>
  `/api/v1/pods?fieldSelector=spec.nodeName%3D${node}&resourceVersion=0`;

/** Measures what the agents of a large cluster cost one API server. */
export async function* fleet({ progress, quick, full }: BenchmarkContext): AsyncIterable<Row> {
  const { agents, pods: wanted } = sizes[full ? "full" : quick ? "quick" : "usual"];
  await using server = await startApiServer({
    flags: ["--max-requests-inflight=3000", "--max-mutating-requests-inflight=1000"],
  });
  using calls = new Connections({
    url: server.url,
    ca: await readFile(server.caFile, "utf8"),
    token: server.tokenOf("admin"),
  });
  const pods = "/api/v1/namespaces/default/pods";
  const expectOk = async (method: string, path: string, body?: unknown, type?: string): Promise<number> => {
    const { status, bytes } = await calls.call(method, path, body, type);
    if (status >= 300) throw new Error(`${method} ${path}: ${status}`);
    return bytes;
  };

  progress(`${podsOfNode} pods on one node`);
  await inParallel(podsOfNode, 32, async (index) => {
    await expectOk("POST", pods, podOf("node-0", index));
  });
  const listMany = (): Promise<Cost> =>
    costOf(server, quick ? 20 : 200, 1, async () => {
      await expectOk("GET", listOf("node-0"));
    });
  await listMany();
  const small = await listMany();
  const followed = await followNode(server.kubeconfig, "node-0");

  const most = full ? Infinity : fillMs;
  progress(`up to ${wanted} pods on ${agents} nodes${full ? "" : `, for at most ${fillMs / 1000} s`}`);
  const filling = performance.now();
  const filled = await inParallel(
    wanted - podsOfNode,
    64,
    async (index) => {
      await expectOk("POST", pods, podOf(`node-${1 + (index % (agents - 1))}`, index));
    },
    filling + most,
  );
  const total = filled + podsOfNode;
  yield row({
    name: "pods in the cluster",
    value: total,
    unit: "pods",
    ...(full && { goal: { of: "value", atLeast: wanted } }),
  });
  const fillSeconds = (performance.now() - filling) / 1000;
  yield row({ name: "pods created", value: filled / fillSeconds, unit: "/s" });
  const large = await listMany();
  yield row({
    name: `list of a node's ${podsOfNode} pods, against a cluster with no others`,
    value: large.milliseconds,
    unit: "ms",
    peer: small.milliseconds,
    goal: { of: "ratio", atMost: 1.5 },
  });
  const followedAmongMany = await followNode(server.kubeconfig, "node-0");
  yield row({
    name: `heap of a process that follows ${followedAmongMany.pods} pods, against a cluster with no others`,
    value: followedAmongMany.bytes / 1e6,
    unit: "MB",
    peer: followed.bytes / 1e6,
    goal: { of: "ratio", atMost: 1.05 },
  });
  const bytes = await expectOk("GET", listOf("node-0"));
  yield row({ name: "answer to that list", value: bytes / 1e6, unit: "MB" });

  progress(`${agents} agents start: list and watch`);
  let watched = 0;
  const { metadata } = await server.admin.get<{ metadata: { resourceVersion: string } }>(listOf("node-0"));
  const watchOf = (node: string): string =>
    `/api/v1/pods?fieldSelector=spec.nodeName%3D${node}&resourceVersion=${metadata.resourceVersion}&watch=true&allowWatchBookmarks=true`;
  const start = await costOf(server, agents, 200, async (index) => {
    await expectOk("GET", listOf(`node-${index}`));
    await calls.watch(watchOf(`node-${index}`), (size) => (watched += size));
  });
  yield row({ name: "starts of agents (one list, one watch)", value: start.perSecond, unit: "/s" });
  yield row({ name: "API server's CPU for one start", value: start.cpuMilliseconds, unit: "ms" });

  progress("pods of one node change under all watches");
  const before = watched;
  const changes = quick ? 20 : 500;
  const changed = await costOf(server, changes, 16, async (index) => {
    const body = { metadata: { annotations: { change: String(index) } } };
    await expectOk("PATCH", `${pods}/node-0-${index % podsOfNode}`, body, "application/merge-patch+json");
  });
  yield row({ name: `changes of pods under ${agents} watches`, value: changed.perSecond, unit: "/s" });
  yield row({
    name: "sent to all watches for one change",
    value: (watched - before) / changes / 1e3,
    unit: "kB",
    // One event of one pod, to one watcher.
    goal: { of: "value", atMost: (2 * bytes) / podsOfNode / 1e3 },
  });

  progress("status of backups is written");
  await expectOk("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", backupResource);
  const backups = "/apis/bench.container.io/v1/namespaces/default/backups";
  await server.admin.until(backups, () => true);
  const created = await costOf(server, agents, 64, async (index) => {
    await expectOk("POST", backups, backupObject(index));
  });
  yield row({ name: "backup objects created", value: created.perSecond, unit: "/s" });
  const written = await costOf(server, agents, 64, async (index) => {
    const path = `${backups}/b-${index}/status?fieldManager=aeon&force=true`;
    await expectOk("PATCH", path, backupStatus(index), "application/apply-patch+yaml");
  });
  yield row({ name: "status writes (server-side apply)", value: written.perSecond, unit: "/s" });
  yield row({ name: "API server's CPU for one status write", value: written.cpuMilliseconds, unit: "ms" });
  yield row({ name: "API server's memory", value: await residentMegabytes(server), unit: "MB" });
}

interface Followed {
  readonly pods: number;
  readonly bytes: number;
}

/** What the agent's client needs for a node's pods, in a process of its own. */
async function followNode(kubeconfig: string, node: string): Promise<Followed> {
  const program = join(import.meta.dirname, "follow-node.ts");
  const args = ["--conditions=@aeon/source", "--expose-gc", program, kubeconfig, node];
  const followed: Followed = JSON.parse((await run(process.execPath, args)).stdout);
  if (followed.pods !== podsOfNode) throw new Error(`${followed.pods} pods are followed, not ${podsOfNode}`);
  return followed;
}

interface Cost {
  readonly perSecond: number;
  /** Mean wall time of one. */
  readonly milliseconds: number;
  /** Processor time of the API server for one. */
  readonly cpuMilliseconds: number;
}

async function costOf(
  server: ApiServer,
  count: number,
  width: number,
  work: (index: number) => Promise<void>,
): Promise<Cost> {
  const pid = server.pid ?? 0;
  const cpu = await cpuSeconds(pid);
  const started = performance.now();
  await inParallel(count, width, work);
  const milliseconds = performance.now() - started;
  return {
    perSecond: (count / milliseconds) * 1000,
    milliseconds: (milliseconds * width) / count,
    cpuMilliseconds: (((await cpuSeconds(pid)) - cpu) / count) * 1000,
  };
}

async function residentMegabytes({ pid = 0 }: ApiServer): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1024;
}
