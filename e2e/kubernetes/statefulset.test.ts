import { readFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { run } from "@aeon/standalone";
import { kubernetesProgram, type ClusterNode } from "@aeon/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startCluster, type TestCluster } from "./cluster.ts";
import { inPod, runningPod, statefulSet, type PodState } from "./workloads.ts";

let cluster: TestCluster;
let nodes: readonly ClusterNode[];
const workspace = join(import.meta.dirname, "../..");
const sets = "/apis/apps/v1/namespaces/default/statefulsets";
const pods = "/api/v1/namespaces/default/pods";

beforeAll(async () => {
  cluster = await startCluster();
  nodes = [await cluster.addNode("node-a"), await cluster.addNode("node-b")];
});
afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
});

/** Lets a pod go by `leave` and answers its successor, which can only run on the other node. */
async function moveAway(pod: PodState, leave: () => Promise<unknown>): Promise<PodState> {
  const node = pod.spec.nodeName ?? "";
  await cluster.server.kubectl(["cordon", node]);
  try {
    await leave();
    return await runningPod(cluster, pod.metadata.name, pod.metadata.uid);
  } finally {
    await cluster.server.kubectl(["uncordon", node]);
  }
}

test("Both nodes are Ready with aeon as the snapshotter of every pod", async () => {
  const list = await cluster.server.kubectl(["get", "nodes"]);
  for (const { name } of nodes) expect(list).toMatch(new RegExp(`${name} +Ready`));
  for (const node of nodes)
    expect(await node.containerd.ctr(["-n", "k8s.io", "snapshots", "--snapshotter", "aeon", "ls"])).toContain(
      "Committed",
    );
});

test("A StatefulSet's pod is deleted and comes back on the other node with its files", async () => {
  await cluster.server.admin.create(sets, statefulSet({ name: "moves" }));
  const first = await runningPod(cluster, "moves-0");
  await inPod(
    cluster,
    "moves-0",
    "echo kept > /root/kept; rm /etc/motd; mkdir /var/lib/d; echo 2 > /var/lib/d/f",
  );
  const second = await moveAway(first, () => cluster.server.admin.remove(`${pods}/moves-0`));
  expect(second.spec.nodeName).not.toBe(first.spec.nodeName);
  expect(await inPod(cluster, "moves-0", "cat /root/kept /var/lib/d/f; ls /etc")).toBe(
    "kept\n2\ngroup\nhostname\nhosts\npasswd\nresolv.conf\n",
  );
});

test("The README's walk-through does what it says", async () => {
  const readme = await readFile(join(workspace, "README.md"), "utf8");
  const section = /^## On Kubernetes\n(.*?)^## /ms.exec(readme)?.[1] ?? "";
  const script = /^```sh\n(.*?)^```$/ms.exec(section)?.[1] ?? "";
  expect(script.split("\n").length).toBeGreaterThan(5);
  const folder = dirname(await kubernetesProgram("kubectl"));
  const { stdout } = await run("bash", ["-euo", "pipefail", "-c", script], {
    cwd: workspace,
    env: {
      PATH: [folder, process.env["PATH"]].join(delimiter),
      HOME: cluster.server.folder,
      KUBECONFIG: cluster.server.kubeconfig,
    },
  });
  expect(stdout).toMatch(/^pod "workshop-0" deleted$/m);
  expect(stdout).toMatch(/^mine$/m);
});

test("The dashboard and the alerts ask for metrics that the agent has", async () => {
  const text = await (await fetch(`${nodes[0]?.metrics}/metrics`)).text();
  const known = new Set([...text.matchAll(/^# TYPE (\w+)/gm)].map(([, name = ""]) => name));
  for (const file of ["alerts.yaml", "dashboard.yaml"]) {
    const used = (await readFile(join(workspace, "deploy/kustomize/monitoring", file), "utf8")).matchAll(
      /\baeon_\w+/g,
    );
    const names = new Set([...used].map(([name]) => name.replace(/_(bucket|count|sum)$/, "")));
    expect(names.size).toBeGreaterThan(4);
    expect([...names].filter((name) => !known.has(name))).toEqual([]);
  }
});

test("An evicted pod comes back on the other node with what it and its predecessor wrote", async () => {
  const first = await runningPod(cluster, "moves-0");
  await inPod(cluster, "moves-0", "echo more > /root/more");
  const second = await moveAway(first, () =>
    cluster.server.admin.create(`${pods}/moves-0/eviction`, {
      apiVersion: "policy/v1beta1",
      kind: "Eviction",
      metadata: { name: "moves-0" },
    }),
  );
  expect(second.spec.nodeName).not.toBe(first.spec.nodeName);
  expect(await inPod(cluster, "moves-0", "cat /root/kept /root/more")).toBe("kept\nmore\n");
});

test("A container that ran out of memory is restarted with its files", async () => {
  const script =
    "if [ -e /root/before ]; then exec sleep 1000000; fi; echo written > /root/before; exec tail /dev/zero";
  await cluster.server.admin.create(
    sets,
    statefulSet({
      name: "hungry",
      container: { command: ["sh", "-c", script], resources: { limits: { memory: "48Mi" } } },
    }),
  );
  const pod = await cluster.server.admin.until<PodState>(
    `${pods}/hungry-0`,
    ({ status }) => {
      const [main] = status.containerStatuses ?? [];
      return (main?.restartCount ?? 0) > 0 && main?.ready === true;
    },
    120_000,
  );
  expect(pod.status.containerStatuses?.[0]?.lastState?.terminated?.reason).toBe("OOMKilled");
  expect(await inPod(cluster, "hungry-0", "cat /root/before")).toBe("written\n");
});

test("Two pods of one workload have chains of their own", async () => {
  await cluster.server.admin.create(sets, statefulSet({ name: "pair", replicas: 2 }));
  const both = ["pair-0", "pair-1"];
  const before = await Promise.all(both.map((name) => runningPod(cluster, name)));
  for (const name of both) await inPod(cluster, name, `echo ${name} >> /root/who`);
  await Promise.all(both.map((name) => cluster.server.admin.remove(`${pods}/${name}`)));
  await Promise.all(before.map(({ metadata }) => runningPod(cluster, metadata.name, metadata.uid)));
  for (const name of both) expect(await inPod(cluster, name, "cat /root/who")).toBe(`${name}\n`);
});

test("A container starts again with its files while the API server is down", async () => {
  const pod = await runningPod(cluster, "moves-0");
  const node = nodes.find(({ name }) => name === pod.spec.nodeName);
  if (node === undefined) throw new Error("the pod is on no node");
  await inPod(cluster, "moves-0", "echo offline > /root/offline");
  await cluster.server.kill();
  const id = await mainContainer(node, pod);
  await node.containerd.ctr(["-n", "k8s.io", "tasks", "kill", "--signal", "SIGKILL", id]);
  // kubelet knows its pods without the API server.
  await expect.poll(() => mainContainer(node, pod), { timeout: 60_000, interval: 200 }).not.toBe(id);
  await cluster.server.start();
  await cluster.server.admin.until<PodState>(
    `${pods}/moves-0`,
    ({ status }) =>
      (status.containerStatuses?.[0]?.restartCount ?? 0) > 0 && status.containerStatuses?.[0]?.ready === true,
    120_000,
  );
  expect(await inPod(cluster, "moves-0", "cat /root/kept /root/offline")).toBe("kept\noffline\n");
});

test("The pod of a killed node comes back on the other one with its last backup", async () => {
  const pod = await runningPod(cluster, "moves-0");
  const node = nodes.find(({ name }) => name === pod.spec.nodeName);
  if (node === undefined) throw new Error("the pod is on no node");
  await inPod(cluster, "moves-0", "echo saved > /root/saved");
  const container = await mainContainer(node, pod);
  const create = `--address ${node.adminSocket} backup create --namespace k8s.io --container ${container} --wait`;
  await run(process.execPath, [cluster.programs.aeonctl, ...create.split(" ")]);
  await inPod(cluster, "moves-0", "echo lost > /root/lost");
  await node.kill();
  // Nobody can tell whether a lost node still runs the pod, so its owner has to say that it does not.
  await cluster.server.admin.until<NodeState>(`/api/v1/nodes/${node.name}`, isLost, 120_000);
  await cluster.server.kubectl(["delete", "pod", "moves-0", "--force", "--grace-period=0", "--wait=false"]);
  const second = await runningPod(cluster, "moves-0", pod.metadata.uid);
  expect(second.spec.nodeName).not.toBe(pod.spec.nodeName);
  expect(await inPod(cluster, "moves-0", "cat /root/kept /root/saved; ls /root/lost 2>&1 || true")).toBe(
    "kept\nsaved\nls: /root/lost: No such file or directory\n",
  );
});

interface NodeState {
  readonly status: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

const isLost = ({ status }: NodeState): boolean =>
  status.conditions?.some((condition) => condition.type === "Ready" && condition.status !== "True") === true;

/** The id of the running `main` container of a pod; empty while there is none. */
async function mainContainer(node: ClusterNode, pod: PodState): Promise<string> {
  const filter = `labels."io.kubernetes.pod.uid"==${pod.metadata.uid},labels."io.kubernetes.container.name"==main`;
  const listed = await node.containerd.ctr(["-n", "k8s.io", "containers", "ls", "-q", filter]);
  const tasks = await node.containerd.ctr(["-n", "k8s.io", "tasks", "ls"]);
  const isRunning = (id: string): boolean => new RegExp(`^${id} +\\d+ +RUNNING`, "m").test(tasks);
  return listed.trim().split("\n").find(isRunning) ?? "";
}
