import { cp, readdir, readFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { run } from "@aeon/standalone";
import { expiredToken, kubernetesProgram, type ClusterNode } from "@aeon/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { notOurs, startCluster, type TestCluster } from "./cluster.ts";
import { kubectlAeon } from "./kubectl-aeon.ts";
import {
  deployment,
  inPod,
  runningPod,
  runShortPods,
  servicePod,
  statefulSet,
  type PodState,
} from "./workloads.ts";

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

test("A pod that kubelet evicts comes back with its files, and its backup says why it was taken", async () => {
  await cluster.server.admin.create(
    sets,
    statefulSet({
      name: "greedy",
      container: { volumeMounts: [{ name: "cache", mountPath: "/cache" }] },
      pod: { volumes: [{ name: "cache", emptyDir: { sizeLimit: "1Mi" } }] },
    }),
  );
  const first = await runningPod(cluster, "greedy-0");
  await inPod(cluster, "greedy-0", "echo kept > /root/kept; dd if=/dev/zero of=/cache/all bs=1M count=4");
  await runningPod(cluster, "greedy-0", first.metadata.uid);
  expect(await inPod(cluster, "greedy-0", "cat /root/kept; ls /cache")).toBe("kept\n");
  const [taken] = await backupsOf("greedy-0");
  expect(taken?.status).toMatchObject({ trigger: "evicted", podUID: first.metadata.uid });
});

const group = "/apis/backup.container.io/v1alpha1/namespaces/default";
interface Aeon {
  readonly status?: {
    readonly phase?: string;
    readonly node?: string;
    readonly reason?: string;
    readonly podUID?: string;
    readonly trigger?: string;
  };
}
const untilPhase = (path: string, phase: string): Promise<Aeon> =>
  cluster.server.admin.until<Aeon>(`${group}/${path}`, ({ status }) => status?.phase === phase, 90_000);
const aeonObject = (kind: string, name: string, spec: object) => ({
  apiVersion: "backup.container.io/v1alpha1",
  kind,
  metadata: { name },
  spec,
});

test("A backup that was asked for by a RootfsBackup is put into the pod on another node by a RootfsRestore", async () => {
  const { admin } = cluster.server;
  const pod = await runningPod(cluster, "moves-0");
  const wish = { pod: "moves-0", container: "main" };
  await admin.create(`${group}/rootfsbackups`, aeonObject("RootfsBackup", "kept", wish));
  expect((await untilPhase("rootfsbackups/kept", "Stored")).status?.node).toBe(pod.spec.nodeName);
  await inPod(cluster, "moves-0", "rm /root/kept; echo later > /root/later");
  const restore = aeonObject("RootfsRestore", "back", { ...wish, backup: "kept" });
  await admin.create(`${group}/rootfsrestores`, restore);
  await untilPhase("rootfsrestores/back", "Waiting");
  const second = await moveAway(pod, () => admin.remove(`${pods}/moves-0`));
  const done = await untilPhase("rootfsrestores/back", "Restored");
  expect(done.status?.node).toBe(second.spec.nodeName);
  expect(await inPod(cluster, "moves-0", "cat /root/kept; ls /root/later 2>&1 || true")).toBe(
    "kept\nls: /root/later: No such file or directory\n",
  );
});

test("A Deployment's pod is deleted, and its successor on the other node goes on with its files", async () => {
  const { admin } = cluster.server;
  await admin.create("/apis/apps/v1/namespaces/default/deployments", deployment("front"));
  const first = await podOf("front");
  await inPod(cluster, first.metadata.name, "echo kept > /root/kept");
  await cluster.server.kubectl(["cordon", first.spec.nodeName ?? ""]);
  await admin.remove(`${pods}/${first.metadata.name}`);
  const second = await podOf("front", first.metadata.uid);
  await cluster.server.kubectl(["uncordon", first.spec.nodeName ?? ""]);
  expect(second.spec.nodeName).not.toBe(first.spec.nodeName);
  expect(second.metadata.name).not.toBe(first.metadata.name);
  expect(await inPod(cluster, second.metadata.name, "cat /root/kept")).toBe("kept\n");
  const events = await cluster.server.kubectl(["get", "events", "-o", "jsonpath={.items[*].reason}"]);
  expect(events).toContain("FilesRestored");
});

/** The versions of the programs for containers that a node has. */
async function programsOf({ folder }: ClusterNode): Promise<readonly string[]> {
  const names = await readdir(join(folder, "a/container-service/tools")).catch((): string[] => []);
  return names.filter((name) => !name.startsWith("."));
}

const bound = ({ metadata }: PodState) => ({ name: metadata.name, uid: metadata.uid });

/** The pod of a Deployment that is ready and is not the one with the id `not`. */
async function podOf(app: string, not?: string): Promise<PodState> {
  interface List {
    readonly items: readonly PodState[];
  }
  const isIt = ({ metadata }: PodState): boolean =>
    metadata.uid !== not && metadata.deletionTimestamp === undefined;
  const { items } = await cluster.server.admin.until<List>(
    `${pods}?labelSelector=app%3D${app}`,
    (list) => list.items.some(isIt),
    60_000,
  );
  return await runningPod(cluster, items.find(isIt)?.metadata.name ?? "");
}

test("A pod asks the agent with its own token, through the socket that NRI gave it, and with no other", async () => {
  const { server, own: control } = cluster;
  const [node] = nodes;
  if (node === undefined) throw new Error("there is no node");
  // The first container that may ask makes its node copy the programs, and does not wait long for that.
  await server.admin.create(pods, servicePod("warms", node.name));
  await runningPod(cluster, "warms");
  await expect.poll(() => programsOf(node), { timeout: 60_000 }).not.toEqual([]);
  await server.admin.create(pods, servicePod("asks", node.name));
  const pod = await runningPod(cluster, "asks");
  const info: { readonly authenticatedBy?: string; readonly pod?: unknown } = JSON.parse(
    await inPod(cluster, "asks", "/run/aeon/bin/aeonctl -o json info"),
  );
  expect(info).toMatchObject({ authenticatedBy: "service-account" });
  expect(await inPod(cluster, "asks", "/run/aeon/bin/aeonctl backup create --wait")).toContain("stored");
  const other = await runningPod(cluster, "moves-0");
  const tokens = {
    TOKEN_OF_ANOTHER_POD: await server.serviceAccountToken("default", "default", {
      audiences: ["aeon"],
      pod: bound(other),
    }),
    TOKEN_REFUSED: await server.serviceAccountToken("default", "default", { pod: bound(pod) }),
  };
  const own = await server.serviceAccountToken("default", "default", {
    audiences: ["aeon"],
    pod: bound(pod),
  });
  const spoiled = {
    forged: `${tokens.TOKEN_OF_ANOTHER_POD}x`,
    ...(control && { expired: await expiredToken(own, control.signingKeyFile) }),
  };
  for (const [reason, token] of Object.entries({ ...tokens, ...spoiled })) {
    const said = await inPod(
      cluster,
      "asks",
      `echo '${token}' > /tmp/token; /run/aeon/bin/aeonctl --token-file /tmp/token info 2>&1; echo "exit $?"`,
    );
    expect(said).toContain(reason in spoiled ? "TOKEN_REFUSED" : reason);
    expect(said).not.toContain("exit 0");
  }
});

test("kubectl aeon takes, lists and asks for backups with the rights of whoever calls it", async () => {
  const aeon = await kubectlAeon(cluster);
  expect(await aeon("backup", "moves-0", "-c", "main", "--name", "by-plugin")).toContain("by-plugin created");
  await untilPhase("rootfsbackups/by-plugin", "Stored");
  expect(await aeon("backups", "moves-0")).toMatch(/by-plugin +moves-0 +main +Stored/);
  const restore = ["restore", "nobody-0", "by-plugin", "-c", "main", "--name", "by-plugin"];
  expect(await aeon(...restore)).toContain("rootfsrestore.backup.container.io/by-plugin created");
  expect(await aeon("status", "asks")).toContain("main");
  await expect(aeon("backup", "moves-0")).rejects.toThrow(/required option/);
});

const upgrades = 5;

test("The agent is replaced by another build again and again while containers start and end: no start fails, nothing is lost", async () => {
  const { server, programs } = cluster;
  const [node] = nodes;
  if (node === undefined) throw new Error("there is no node");
  const next = join(dirname(dirname(programs.agent)), "next");
  await cp(dirname(programs.agent), next, { recursive: true });
  const builds = [join(next, "aeon.js"), programs.agent];
  const short = runShortPods(cluster, node.name);
  const { names } = short;
  for (let round = 0; round < upgrades; round += 1) {
    const seen = names.length;
    await node.replaceAgent(builds[round % builds.length] ?? "");
    await expect.poll(() => names.length, { timeout: 120_000 }).toBeGreaterThan(seen + 1);
  }
  expect(await short.end()).toEqual([]);
  expect(names.length).toBeGreaterThanOrEqual(2 * upgrades);
  interface Backups {
    readonly items: readonly { readonly spec: { readonly pod: string }; readonly status?: Aeon["status"] }[];
  }
  const stored = ({ items: all }: Backups): ReadonlySet<string> =>
    new Set(all.filter(({ status }) => status?.phase === "Stored").map(({ spec }) => spec.pod));
  await server.admin.until<Backups>(
    `${group}/rootfsbackups`,
    (list) => names.every((name) => stored(list).has(name)),
    120_000,
  );
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

test("A container starts again with its files while the API server is down", async ({ skip }) => {
  const { own } = cluster;
  if (own === undefined) {
    skip(notOurs);
    return;
  }
  const pod = await runningPod(cluster, "moves-0");
  const node = nodes.find(({ name }) => name === pod.spec.nodeName);
  if (node === undefined) throw new Error("the pod is on no node");
  await inPod(cluster, "moves-0", "echo offline > /root/offline");
  const shown = new Set((await backupsOf("moves-0")).map(({ metadata }) => metadata.name));
  await own.kill();
  const id = await mainContainer(node, pod);
  await node.containerd.ctr(["-n", "k8s.io", "tasks", "kill", "--signal", "SIGKILL", id]);
  // kubelet knows its pods without the API server.
  const isAnother = async (): Promise<boolean> => !["", id].includes(await mainContainer(node, pod));
  await expect.poll(isAnother, { timeout: 60_000, interval: 200 }).toBe(true);
  // What it knows of that outlives it.
  await node.killAgent();
  await node.startAgent();
  await own.start();
  await cluster.server.admin.until<PodState>(
    `${pods}/moves-0`,
    ({ status }) =>
      (status.containerStatuses?.[0]?.restartCount ?? 0) > 0 && status.containerStatuses?.[0]?.ready === true,
    120_000,
  );
  expect(await inPod(cluster, "moves-0", "cat /root/kept /root/offline")).toBe("kept\noffline\n");
  await expect
    .poll(
      async () =>
        (await backupsOf("moves-0")).filter(
          ({ metadata, status }) => !shown.has(metadata.name) && status?.phase === "Stored",
        ),
      { timeout: 60_000 },
    )
    .toMatchObject([{ status: { podUID: pod.metadata.uid, node: node.name } }]);
});

interface ShownBackup extends Aeon {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly pod: string };
}

/** The RootfsBackups of pods of a name. */
async function backupsOf(pod: string): Promise<readonly ShownBackup[]> {
  interface List {
    readonly items: readonly ShownBackup[];
  }
  const { items } = await cluster.server.admin.get<List>(`${group}/rootfsbackups`);
  return items.filter(({ spec }) => spec.pod === pod);
}

test("A pod that is deleted by force leaves its files in a backup; its successor starts, and can have them", async () => {
  const { admin } = cluster.server;
  const pod = await runningPod(cluster, "moves-0");
  const ofFirst = async (): Promise<readonly ShownBackup[]> =>
    (await backupsOf("moves-0")).filter(
      ({ status }) => status?.podUID === pod.metadata.uid && status.phase === "Stored",
    );
  const earlier = new Set((await ofFirst()).map(({ metadata }) => metadata.name));
  await inPod(cluster, "moves-0", "echo forced > /root/forced");
  const second = await moveAway(pod, () =>
    cluster.server.kubectl(["delete", "pod", "moves-0", "--force", "--grace-period=0", "--wait=false"]),
  );
  expect(second.spec.nodeName).not.toBe(pod.spec.nodeName);
  // Nobody waits for a pod that somebody says is gone: at the least it is what was stored before.
  expect(await inPod(cluster, "moves-0", "cat /root/kept")).toBe("kept\n");
  const newOnes = async (): Promise<readonly ShownBackup[]> =>
    (await ofFirst()).filter(({ metadata }) => !earlier.has(metadata.name));
  await expect.poll(newOnes, { timeout: 60_000 }).toHaveLength(1);
  const [last] = await newOnes();
  if (last === undefined) throw new Error("the backup is gone");
  const wish = { pod: "moves-0", container: "main", backup: last.metadata.name };
  await admin.create(`${group}/rootfsrestores`, aeonObject("RootfsRestore", "forced", wish));
  await untilPhase("rootfsrestores/forced", "Waiting");
  await admin.remove(`${pods}/moves-0`);
  await runningPod(cluster, "moves-0", second.metadata.uid);
  expect(await inPod(cluster, "moves-0", "cat /root/kept /root/forced")).toBe("kept\nforced\n");
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
