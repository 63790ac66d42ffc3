import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { PlainNode } from "@aeon/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { dindArchive, dockerClientImage } from "../../packages/dind/test/docker-images.ts";
import { agentImage } from "./agent-image.ts";
import { startCluster, type TestCluster } from "./cluster.ts";
import { installAeon } from "./install.ts";
import { kubectlAeon } from "./kubectl-aeon.ts";
import { inPod, runningPod, runShortPods, servicePod, statefulSet, type PodState } from "./workloads.ts";

let cluster: TestCluster;
let node: PlainNode;
let dockerImage: string;
const pods = "/api/v1/namespaces/default/pods";
const daemonSet = "/apis/apps/v1/namespaces/aeon-system/daemonsets/aeon-agent";

beforeAll(async () => {
  cluster = await startCluster();
  const main = join(cluster.server.folder, "main.tar");
  const [image, dind, ...agents] = await Promise.all([
    dockerClientImage(main),
    dindArchive(),
    agentImage(cluster, "latest", 0),
    agentImage(cluster, "next", 1),
  ]);
  dockerImage = image;
  node = await cluster.addPlainNode("node-a", { images: [...agents, main, dind] });
});
afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
});

interface DaemonSet {
  readonly metadata: { readonly generation: number };
  readonly status: {
    readonly observedGeneration?: number;
    readonly numberReady: number;
    readonly updatedNumberScheduled?: number;
  };
}

/** Waits until the agent's newest pod is ready on every node. */
const rolledOut = (): Promise<DaemonSet> =>
  cluster.server.admin.until<DaemonSet>(
    daemonSet,
    ({ metadata, status }) =>
      status.observedGeneration === metadata.generation &&
      status.numberReady === 1 &&
      status.updatedNumberScheduled === 1,
    150_000,
  );

const ofClass = { runtimeClassName: "aeon" };

test("The manifests make a plain node one of aeon's: its containerd is told once, and the agent stands on containerd's own snapshotter", async () => {
  await installAeon(cluster, node);
  await rolledOut();
  expect(node.restarts).toBe(1);
  const snapshotters = await node.containerd.ctr(["plugins", "ls", "type==io.containerd.snapshotter.v1"]);
  expect(snapshotters).toMatch(/ aeon +.*ok/);
  const { items } = await cluster.server.admin.get<{ items: readonly PodState[] }>(
    "/api/v1/namespaces/aeon-system/pods",
  );
  expect(items).toHaveLength(1);
  const list = await node.containerd.ctr(["-n", "k8s.io", "snapshots", "--snapshotter", "aeon", "ls"]);
  expect(list.trim().split("\n")).toHaveLength(1);
});

test("A pod of the runtime class keeps its files over its deletion, and a backup of it is taken on demand", async () => {
  const { admin } = cluster.server;
  await admin.create(
    "/apis/apps/v1/namespaces/default/statefulsets",
    statefulSet({ name: "kept", pod: ofClass }),
  );
  const first = await runningPod(cluster, "kept-0");
  await inPod(cluster, "kept-0", "echo kept > /root/kept; rm /etc/motd");
  const backups = "/apis/backup.container.io/v1alpha1/namespaces/default/rootfsbackups";
  await admin.create(backups, {
    apiVersion: "backup.container.io/v1alpha1",
    kind: "RootfsBackup",
    metadata: { name: "now" },
    spec: { pod: "kept-0", container: "main" },
  });
  await admin.until<{ status?: { phase?: string } }>(
    `${backups}/now`,
    ({ status }) => status?.phase === "Stored",
  );
  await admin.remove(`${pods}/kept-0`);
  await runningPod(cluster, "kept-0", first.metadata.uid);
  expect(await inPod(cluster, "kept-0", "cat /root/kept; ls /etc/motd 2>&1 || true")).toBe(
    "kept\nls: /etc/motd: No such file or directory\n",
  );
});

test("A pod starts Docker with its own token, builds an image and runs it; kubectl aeon shows that and what the agent says", async () => {
  const { admin } = cluster.server;
  await admin.create(pods, servicePod("warms", node.name, ofClass));
  await runningPod(cluster, "warms");
  const tools = join(node.folder, "a/container-service/tools");
  await expect
    .poll(async () => (await readdir(tools).catch(() => [])).filter((name) => !name.startsWith(".")), {
      timeout: 90_000,
    })
    .not.toEqual([]);
  await admin.create(pods, servicePod("builds", node.name, { ...ofClass, image: dockerImage }));
  await runningPod(cluster, "builds");
  await inPod(cluster, "builds", "/run/aeon/bin/dockerctl start");
  await inPod(cluster, "builds", "tar -C / -c bin | docker import - busybox");
  await inPod(
    cluster,
    "builds",
    String.raw`mkdir /b && printf 'FROM busybox\nRUN echo built > /who\n' > /b/Dockerfile && docker build -t own /b 2>&1`,
  );
  expect(await inPod(cluster, "builds", "docker run --rm own /bin/cat /who")).toBe("built\n");
  const aeon = await kubectlAeon(cluster);
  expect(await aeon("docker", "builds", "status")).toContain("running");
  expect(await aeon("logs")).toContain('"audit":true');
  await inPod(cluster, "builds", "/run/aeon/bin/dockerctl stop");
});

/** Lets two clients in the pod `builds` read what a container of its Docker says, each to its end. */
async function startStreams(): Promise<void> {
  await inPod(cluster, "builds", "/run/aeon/bin/dockerctl start");
  const count = "i=0; while [ ! -e /end ]; do echo $i; i=$((i+1)); sleep 0.1; done; echo end";
  const clients = [
    `docker run --rm --name counts own /bin/sh -c '${count}' > /attached 2>&1`,
    "until docker inspect counts; do sleep 0.1; done; docker logs -f counts > /followed 2>&1",
  ];
  for (const client of clients) await inPod(cluster, "builds", `(${client}) < /dev/null > /dev/null 2>&1 &`);
  await expect.poll(() => linesOf("/followed"), { timeout: 30_000 }).toContain("5");
}

const linesOf = async (file: string): Promise<readonly string[]> =>
  (await inPod(cluster, "builds", `cat ${file}`)).trim().split("\n");

test("A new agent takes over by the DaemonSet: pods run on and start, Docker's streams too, containerd is left alone, and files are kept", async () => {
  const { admin } = cluster.server;
  const before = await runningPod(cluster, "kept-0");
  await inPod(cluster, "kept-0", "echo later > /root/later");
  await startStreams();
  const short = runShortPods(cluster, node.name, ofClass);
  await cluster.server.kubectl([
    "-n",
    "aeon-system",
    "set",
    "image",
    "daemonset/aeon-agent",
    "agent=localhost/aeon:next",
    "configure-host=localhost/aeon:next",
  ]);
  await rolledOut();
  const during = await linesOf("/attached");
  expect(await short.end()).toEqual([]);
  expect(short.names.length).toBeGreaterThan(5);
  // Nothing of the old agent's image is needed any more, by what it left behind either.
  await node.containerd.ctr(["-n", "k8s.io", "images", "rm", "--sync", "localhost/aeon:latest"]);
  await inPod(cluster, "builds", "docker exec counts /bin/sh -c '> /end'");
  await expect.poll(() => linesOf("/followed"), { timeout: 30_000 }).toContain("end");
  await expect.poll(() => linesOf("/attached"), { timeout: 30_000 }).toContain("end");
  const said = await linesOf("/attached");
  expect(said.length).toBeGreaterThan(during.length);
  expect(said).toEqual([...said.slice(0, -1).keys(), "end"].map(String));
  expect(await linesOf("/followed")).toEqual(said);
  expect(node.restarts).toBe(1);
  const same = await runningPod(cluster, "kept-0");
  expect(same.metadata.uid).toBe(before.metadata.uid);
  expect(same.status.containerStatuses?.[0]?.restartCount).toBe(0);
  await admin.remove(`${pods}/kept-0`);
  await runningPod(cluster, "kept-0", before.metadata.uid);
  expect(await inPod(cluster, "kept-0", "cat /root/kept /root/later")).toBe("kept\nlater\n");
});
