import { join } from "node:path";
import { podEnds, silentLogger, type Capability } from "@aeon/core";
import { connectKubernetes, type KubeClient } from "@aeon/kube";
import { startApiServer, temporaryFolder, type ApiServer } from "@aeon/testkit";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { policyLabels } from "../src/index.ts";
import { Controller } from "../src/kubernetes/controller.ts";
import { call } from "./node.ts";
import { runPod, startKubeletView, within, type KubeletView } from "./pod.ts";
import { serveNode, type ServedNode } from "./served-node.ts";

const resources = new AsyncDisposableStack();
let kubelet: KubeletView;
let node: ServedNode;
let server: ApiServer;
let client: KubeClient;
let controller: Controller;

const crds = join(import.meta.dirname, "../../../deploy/crds");
const inShop = "/apis/backup.container.io/v1alpha1/namespaces/shop";
const backupsPath = `${inShop}/rootfsbackups`;
const podsPath = "/api/v1/namespaces/shop/pods";

interface BackupObject {
  readonly metadata: {
    readonly name: string;
    readonly finalizers?: readonly string[];
    readonly labels: Readonly<Record<string, string>>;
  };
  readonly spec: { readonly pod: string; readonly container: string };
  readonly status?: Readonly<Record<string, unknown>>;
}
interface List<T> {
  readonly items: readonly T[];
}

beforeAll(async () => {
  server = resources.use(await startApiServer());
  await server.kubectl(["apply", "-k", crds]);
  await server.kubectl(["wait", "--for=condition=Established", "--timeout=30s", "crd", "--all"]);
  await server.admin.create("/api/v1/namespaces", { metadata: { name: "shop" } });
  const { path: folder } = resources.use(await temporaryFolder("k"));
  const root = join(folder, "aeon");
  node = resources.use(await serveNode({ root, containerd: join(folder, "c", "containerd.sock") }));
  kubelet = resources.use(await startKubeletView({ version: "2.1", folder, root }));
  await kubelet.loadImages();
  client = resources.use(
    await connectKubernetes({
      kubeconfig: server.kubeconfig,
      nodeName: "n1",
      environment: {},
      log: silentLogger,
    }),
  );
  controller = resources.use(
    new Controller({
      kubernetes: client,
      backups: node.backups,
      ends: needed(podEnds),
      policyLabels: needed(policyLabels),
      log: silentLogger,
    }),
  );
  await vi.waitUntil(() => controller.isSynced, within);
});
afterAll(() => resources.disposeAsync());

function needed<T>(wanted: Capability<T>): T {
  const value = node.find(wanted);
  if (value === undefined) throw new Error(`nobody provides ${wanted.name}`);
  return value;
}

/** A pod in the API and in containerd, with one container. */
async function startPod(name: string, labels: Readonly<Record<string, string>>, script: string) {
  const { admin } = server;
  const { metadata } = await admin.create<{ metadata: { uid: string } }>(podsPath, {
    metadata: { name, labels },
    spec: {
      nodeName: "n1",
      automountServiceAccountToken: false,
      containers: [{ name: "main", image: "none" }],
    },
  });
  const pod = await runPod(kubelet, metadata.uid, {});
  const id = await pod.start(0, script);
  const status = {
    name: "main",
    containerID: `containerd://${id}`,
    image: "none",
    imageID: "none",
    ready: true,
    restartCount: 0,
  };
  const patch = (more: object) =>
    admin.merge(`${podsPath}/${name}/status`, { status: { containerStatuses: [status], ...more } });
  await patch({});
  return {
    id,
    uid: metadata.uid,
    pod,
    patch,
    async [Symbol.asyncDispose]() {
      await pod[Symbol.asyncDispose]();
      await admin.request("DELETE", `${podsPath}/${name}?gracePeriodSeconds=0`);
    },
  };
}

test("the API server takes the definitions, refuses what makes no sense, and shows columns", async () => {
  const { admin } = server;
  const make = (spec: object) =>
    admin.request("POST", backupsPath, {
      apiVersion: "backup.container.io/v1alpha1",
      kind: "RootfsBackup",
      metadata: { name: "wrong" },
      spec,
    });
  expect((await make({})).status).toBe(422);
  expect((await make({ pod: "p", container: "Not A Name" })).status).toBe(422);
  expect((await make({ pod: "p", container: "c", maxPause: 1e6 })).status).toBe(422);
  const policy = await admin.request("POST", `${inShop}/rootfsbackuppolicies`, {
    apiVersion: "backup.container.io/v1alpha1",
    kind: "RootfsBackupPolicy",
    metadata: { name: "wrong" },
    spec: { selector: {}, restore: "sometimes" },
  });
  expect(policy.status).toBe(422);
  interface Definition {
    readonly metadata: { readonly name: string };
    readonly status: { readonly conditions: readonly { readonly type: string; readonly status: string }[] };
  }
  const { items } = await admin.get<List<Definition>>(
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
  );
  for (const { metadata, status } of items)
    expect([metadata.name, status.conditions.find(({ type }) => type === "NonStructuralSchema")]).toEqual([
      metadata.name,
      undefined,
    ]);
  expect(items).toHaveLength(2);
});

test("creating a RootfsBackup takes one of the running container, in few writes", async () => {
  await using running = await startPod("asked", {}, "echo kept > /kept; exec sleep 100");
  await vi.waitFor(() => running.pod.exec(running.id, "test -s /kept"), within);
  const before = writes();
  await server.admin.create(backupsPath, {
    apiVersion: "backup.container.io/v1alpha1",
    kind: "RootfsBackup",
    metadata: { name: "now" },
    spec: { pod: "asked", container: "main" },
  });
  const object = await server.admin.until<BackupObject>(
    `${backupsPath}/now`,
    ({ status }) => status?.["phase"] === "Stored",
  );
  expect(object.status).toMatchObject({ trigger: "manual", consistency: "live", node: "n1", retries: 0 });
  expect(object.status?.["digest"]).toMatch(/^sha256:/);
  expect(object.status?.["completionTime"]).toMatch(/Z$/);
  expect(object.metadata.finalizers).toBeUndefined();
  // A folder of its own: kubectl remembers for ten minutes which kinds there were.
  const cache = `--cache-dir=${join(server.folder, "discovery")}`;
  expect(await server.kubectl([cache, "get", "rb", "-n", "shop", "now"])).toMatch(/POD .*PHASE/);
  await node.backups.settled(call.signal);
  expect(writes() - before).toBeLessThanOrEqual(8);
  const { items } = await server.admin.get<List<BackupObject>>(backupsPath);
  expect(items.map(({ metadata }) => metadata.name)).toEqual(["now"]);
});

const writes = (): number =>
  [...client.sent].filter(([method]) => method !== "GET").reduce((sum, [, count]) => sum + count, 0);

test("a request for a container that is not there fails and says why", async () => {
  await using _ = await startPod("other", {}, "exec sleep 100");
  await server.admin.create(backupsPath, {
    apiVersion: "backup.container.io/v1alpha1",
    kind: "RootfsBackup",
    metadata: { name: "missing" },
    spec: { pod: "other", container: "nobody" },
  });
  const object = await server.admin.until<BackupObject>(
    `${backupsPath}/missing`,
    ({ status }) => status?.["phase"] === "Failed",
  );
  expect(object.status?.["reason"]).toContain("no running container nobody");
});

const policy = (name: string, schedule: string) => ({
  apiVersion: "backup.container.io/v1alpha1",
  kind: "RootfsBackupPolicy",
  metadata: { name },
  spec: { selector: { matchLabels: { app: "web" } }, schedule },
});

test("a policy opts a pod in; one that disagrees is told of; an eviction while the API server is down is shown later", async () => {
  await server.admin.create(`${inShop}/rootfsbackuppolicies`, policy("a", "6h"));
  await using running = await startPod("web", { app: "web" }, "echo kept > /kept; exec sleep 100");
  await vi.waitFor(() => running.pod.exec(running.id, "test -s /kept"), within);
  await server.admin.create(`${inShop}/rootfsbackuppolicies`, policy("b", "1h"));
  interface Told {
    readonly reason: string;
    readonly message: string;
  }
  await server.admin.until<List<Told>>("/api/v1/namespaces/shop/events", ({ items }) =>
    items.some(({ reason, message }) => reason === "PoliciesDisagree" && message.includes("b wants")),
  );
  await running.patch({ phase: "Failed", reason: "Evicted" });
  await vi.waitFor(() => expect(controller.podsSeen()).toContain("web Evicted"), within);

  await server.kill();
  const before = new Set(node.backups.own().map(({ id }) => id));
  await running.pod.remove(running.id);
  await kubelet.collectGarbage();
  await vi.waitFor(() => expect(node.backups.own().length).toBeGreaterThan(before.size), within);
  await node.backups.settled(call.signal);
  const [made] = node.backups.own().filter(({ id }) => !before.has(id));
  expect(made).toMatchObject({ trigger: "evicted", state: "stored" });
  await server.start();
  const object = await server.admin.until<BackupObject>(
    `${backupsPath}/${made?.id}`,
    ({ status }) => status?.["phase"] === "Stored",
  );
  expect(object.spec).toEqual({ pod: made?.pod?.name, container: "main" });
  expect(object.status).toMatchObject({ trigger: "evicted", consistency: "exact", podUID: running.uid });
  for (const name of ["a", "b"]) await server.admin.remove(`${inShop}/rootfsbackuppolicies/${name}`);
});
