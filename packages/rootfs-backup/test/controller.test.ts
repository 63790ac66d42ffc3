import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { podEnds, silentLogger, type Capability } from "@aeon/core";
import { connectKubernetes, type KubeClient } from "@aeon/kube";
import { startApiServer, temporaryFolder, type ApiServer } from "@aeon/testkit";
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { policyLabels } from "../src/index.ts";
import { Controller } from "../src/kubernetes/controller.ts";
import { heartbeatName } from "../src/kubernetes/heartbeat.ts";
import { LostNodes } from "../src/kubernetes/lost-nodes.ts";
import { Slots } from "../src/kubernetes/slots.ts";
import { parsePod } from "../src/kubernetes/api.ts";
import { starts } from "../src/restore/choices.ts";
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
const restoresPath = `${inShop}/rootfsrestores`;
const podsPath = "/api/v1/namespaces/shop/pods";
const leases = "/apis/coordination.k8s.io/v1/namespaces/aeon-system/leases";
const heartbeatMs = 1000;

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
  server = resources.use(await startApiServer({ users: [{ name: "powerless" }] }));
  for (const name of ["shop", "aeon-system"])
    await server.admin.create("/api/v1/namespaces", { metadata: { name } });
  const { path: folder } = resources.use(await temporaryFolder("k"));
  const root = join(folder, "aeon");
  node = resources.use(await serveNode({ root, containerd: join(folder, "c", "containerd.sock") }));
  kubelet = resources.use(await startKubeletView({ version: "2.1", folder, root }));
  await kubelet.loadImages();
  // It never tells that it lives while its writes are counted.
  client = resources.use(await clientOf("n1", 3_600_000));
  controller = resources.use(controllerOf(client));
});
afterAll(() => resources.disposeAsync());

const clientOf = (
  nodeName: string,
  every = heartbeatMs,
  kubeconfig = server.kubeconfig,
): Promise<KubeClient> =>
  connectKubernetes({
    kubeconfig,
    nodeName,
    heartbeatMs: every,
    environment: {},
    log: silentLogger,
  });

const controllerOf = (kubernetes: KubeClient, more: { readonly predecessorMs?: number } = {}): Controller =>
  new Controller({
    ...more,
    kubernetes,
    backups: node.backups,
    ends: needed(podEnds),
    policyLabels: needed(policyLabels),
    starts: needed(starts),
    log: silentLogger,
  });

function needed<T>(wanted: Capability<T>): T {
  const value = node.find(wanted);
  if (value === undefined) throw new Error(`nobody provides ${wanted.name}`);
  return value;
}

/** A pod in the API and in containerd, whose container is started by `start`. */
async function bindPod(name: string, labels: Readonly<Record<string, string>>, more: object = {}) {
  const { admin } = server;
  const { metadata } = await admin.create<{ metadata: { uid: string } }>(podsPath, {
    metadata: { name, labels, ...more },
    spec: {
      nodeName: "n1",
      automountServiceAccountToken: false,
      containers: [{ name: "main", image: "none" }],
    },
  });
  const pod = await runPod(kubelet, metadata.uid, labels, {}, name);
  const started: string[] = [];
  const merge = (status: object) => admin.merge(`${podsPath}/${name}/status`, { status });
  return {
    uid: metadata.uid,
    pod,
    async start(script: string, attempt = 0): Promise<string> {
      const id = await pod.start(attempt, script);
      started.push(id);
      const status = {
        name: "main",
        containerID: `containerd://${id}`,
        image: "none",
        imageID: "none",
        ready: true,
        restartCount: attempt,
      };
      await merge({ phase: "Running", containerStatuses: [status] });
      return id;
    },
    patch: merge,
    async [Symbol.asyncDispose]() {
      // The first process of a container heeds no SIGTERM, for which a sandbox's end would wait.
      for (const id of started) await pod.remove(id);
      await pod[Symbol.asyncDispose]();
      await admin.request("DELETE", `${podsPath}/${name}?gracePeriodSeconds=0`);
    },
  };
}

/** The same with its container started. */
async function startPod(name: string, labels: Readonly<Record<string, string>>, script: string) {
  const bound = await bindPod(name, labels);
  return { ...bound, id: await bound.start(script) };
}

interface Told {
  readonly reason: string;
  readonly message: string;
  readonly involvedObject: { readonly name: string };
}
const told = (about: string, reason: string): Promise<List<Told>> =>
  server.admin.until<List<Told>>("/api/v1/namespaces/shop/events", ({ items }) =>
    items.some((each) => each.reason === reason && each.involvedObject.name === about),
  );

test("without the definitions, and with an account that may do nothing, containers start; that is said, and ends by itself", async () => {
  await using running = await startPod("early", {}, "exec sleep 100");
  expect(await running.pod.exec(running.id, "echo runs")).toBe("runs\n");
  await vi.waitFor(() => expect(controller.failure).toContain("backup.container.io"), within);
  await using poor = await clientOf("n5", 3_600_000, await server.kubeconfigOf("powerless"));
  {
    await using refused = controllerOf(poor);
    await vi.waitFor(() => expect(refused.failure).toContain("forbidden"), within);
  }
  await server.kubectl(["apply", "-k", crds]);
  await server.kubectl(["wait", "--for=condition=Established", "--timeout=30s", "crd", "--all"]);
  await vi.waitUntil(() => controller.isSynced && controller.failure === undefined, {
    ...within,
    timeout: 60_000,
  });
});

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
  const forgetful = await admin.request("POST", `${inShop}/rootfsbackuppolicies`, {
    apiVersion: "backup.container.io/v1alpha1",
    kind: "RootfsBackupPolicy",
    metadata: { name: "wrong" },
    spec: { selector: {}, retention: { maxAge: "for ever" } },
  });
  expect(forgetful.status).toBe(422);
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
  expect(items).toHaveLength(3);
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
  expect(object.status?.["checksum"]).toMatch(/^sha256:/);
  expect(object.status?.["files"]).toBeGreaterThan(0);
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

test("definitions that are older than the agent show what they know", async () => {
  const definition =
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/rootfsbackups.backup.container.io";
  interface Definition {
    spec: {
      versions: [
        { schema: { openAPIV3Schema: { properties: { status: { properties: Record<string, unknown> } } } } },
      ];
    };
  }
  const { spec } = await server.admin.get<Definition>(definition);
  const { properties } = spec.versions[0].schema.openAPIV3Schema.properties.status;
  delete properties["files"];
  delete properties["checksum"];
  await server.admin.merge(definition, { spec: { versions: spec.versions } });
  onTestFinished(async () => void (await server.kubectl(["apply", "-k", crds])));
  await using _ = await startPod("old", {}, "echo kept > /kept; exec sleep 100");
  const apiVersion = "backup.container.io/v1alpha1";
  const ask = (name: string) =>
    server.admin.create(backupsPath, {
      apiVersion,
      kind: "RootfsBackup",
      metadata: { name },
      spec: { pod: "old", container: "main" },
    });
  const stored = (name: string) =>
    server.admin.until<BackupObject>(
      `${backupsPath}/${name}`,
      ({ status }) => status?.["phase"] === "Stored",
    );
  await ask("by-old");
  const { status } = await stored("by-old");
  expect(status?.["digest"]).toMatch(/^sha256:/);
  expect(status?.["files"]).toBeUndefined();
});

const restore = (name: string, pod: string, backup: string) => ({
  apiVersion: "backup.container.io/v1alpha1",
  kind: "RootfsRestore",
  metadata: { name },
  spec: { pod, container: "main", backup },
});
const untilPhase = (name: string, phase: string): Promise<BackupObject> =>
  server.admin.until<BackupObject>(`${restoresPath}/${name}`, ({ status }) => status?.["phase"] === phase);

test("a RootfsRestore lets the next start of a container have a named backup, once", async () => {
  // Asked for before there is a pod of that name.
  await server.admin.create(restoresPath, restore("wish", "fresh", "now"));
  await using bound = await bindPod("fresh", { "backup.container.io/enabled": "true" });
  const waiting = await untilPhase("wish", "Waiting");
  expect(waiting.metadata.finalizers).toBeUndefined();
  expect(waiting.metadata.labels).toEqual({ "backup.container.io/node": "n1" });
  const id = await bound.start("exec sleep 100");
  expect(await bound.pod.exec(id, "cat /kept")).toBe("kept\n");
  const done = await untilPhase("wish", "Restored");
  const { status } = await server.admin.get<BackupObject>(`${backupsPath}/now`);
  expect(done.status).toMatchObject({ node: "n1", backup: status?.["id"] });
  await told("fresh", "FilesRestored");
  await vi.waitFor(() => expect(needed(starts).choices).toEqual([]), within);
  // A later container of the pod goes on with its own files, not with the backup again.
  await bound.pod.exec(id, "rm /kept; echo own > /own");
  await bound.pod.remove(id);
  const next = await bound.start("exec sleep 100", 1);
  expect(await bound.pod.exec(next, "ls /kept /own 2>/dev/null || true")).toBe("/own\n");
  // In a running pod it waits for the next start, and deleting it takes it back.
  await server.admin.create(restoresPath, restore("again", "fresh", "now"));
  await server.admin.create(restoresPath, restore("dropped", "fresh", "now"));
  for (const name of ["again", "dropped"]) await untilPhase(name, "Waiting");
  await server.admin.remove(`${restoresPath}/dropped`);
  await server.admin.untilGone(`${restoresPath}/dropped`);
  await vi.waitFor(() => expect(needed(starts).choices).toHaveLength(1), within);
  await bound.pod.remove(next);
  const last = await bound.start("exec sleep 100", 2);
  expect(await bound.pod.exec(last, "ls /kept /own 2>/dev/null || true")).toBe("/kept\n");
  await untilPhase("again", "Restored");
});

test("a RootfsRestore of what does not exist, or is of another namespace, fails and says why", async () => {
  await using _ = await bindPod("plain", {});
  await server.admin.create("/api/v1/namespaces", { metadata: { name: "else" } });
  const { status } = await server.admin.get<BackupObject>(`${backupsPath}/now`);
  const elsewhere = "/apis/backup.container.io/v1alpha1/namespaces/else/rootfsrestores";
  await server.admin.create(restoresPath, restore("none", "plain", "no-such-backup"));
  expect((await untilPhase("none", "Failed")).status?.["reason"]).toContain("no backup no-such-backup");
  await server.admin.create(restoresPath, {
    ...restore("nobody", "plain", "now"),
    spec: { pod: "plain", container: "nobody", backup: "now" },
  });
  expect((await untilPhase("nobody", "Failed")).status?.["reason"]).toContain("no container nobody");
  await server.admin.create("/api/v1/namespaces/else/pods", {
    metadata: { name: "thief" },
    spec: {
      nodeName: "n1",
      automountServiceAccountToken: false,
      containers: [{ name: "main", image: "none" }],
    },
  });
  await server.admin.create(elsewhere, restore("stolen", "thief", String(status?.["id"])));
  const stolen = await server.admin.until<BackupObject>(
    `${elsewhere}/stolen`,
    (object) => object.status?.["phase"] === "Failed",
  );
  expect(stolen.status?.["reason"]).toContain("no backup");
  await server.admin.request("DELETE", "/api/v1/namespaces/else/pods/thief?gracePeriodSeconds=0");
  expect(needed(starts).choices).toEqual([]);
});

const ofReplicaSet = (hash: string, deployment = "front") => ({
  ownerReferences: [
    { apiVersion: "apps/v1", kind: "ReplicaSet", name: `${deployment}-${hash}`, uid: hash, controller: true },
  ],
});
const replica = { "pod-template-hash": "abc", "backup.container.io/enabled": "true" };

test("a Deployment's pod goes on with the files of the one it replaces, and waits until that one has ended", async () => {
  const first = await bindPod("front-abc-1", replica, ofReplicaSet("abc"));
  const id = await first.start("echo one > /who; exec sleep 100");
  await vi.waitFor(() => first.pod.exec(id, "test -s /who"), within);
  // Another replica has files of its own.
  await using other = await bindPod("front-abc-2", replica, ofReplicaSet("abc"));
  const otherId = await other.start("exec sleep 100");
  expect(await other.pod.exec(otherId, "ls /who 2>/dev/null || true")).toBe("");
  // Marked for deletion, and still running.
  await server.admin.request("DELETE", `${podsPath}/front-abc-1`);
  await using successor = await bindPod("front-abc-3", replica, ofReplicaSet("abc"));
  await told("front-abc-3", "WaitsForPredecessor");
  const starting = successor.start("exec sleep 100");
  await first[Symbol.asyncDispose]();
  const third = await starting;
  expect(await successor.pod.exec(third, "cat /who")).toBe("one\n");
  await told("front-abc-3", "FilesReady");
  expect(node.backups.own().filter(({ pod }) => pod?.name === "front-abc-1")).not.toEqual([]);
});

/** A pod of a node of which the cluster knows alone. */
const makePod = (name: string, nodeName: string, labels: object, more: object = {}) =>
  server.admin.create<{ metadata: { uid: string } }>(podsPath, {
    metadata: { name, labels, ...more },
    spec: { nodeName, automountServiceAccountToken: false, containers: [{ name: "main", image: "none" }] },
  });
const dropPod = (name: string) => server.admin.request("DELETE", `${podsPath}/${name}?gracePeriodSeconds=0`);

test("a pod waits for a while only: for the backup that another node is storing, and for a predecessor that does not end", async () => {
  await using lone = await clientOf("n6");
  await using _ = controllerOf(lone, { predecessorMs: 2000 });
  await server.admin.create(backupsPath, {
    apiVersion: "backup.container.io/v1alpha1",
    kind: "RootfsBackup",
    metadata: {
      name: "endless",
      labels: { "backup.container.io/node": "n7", "backup.container.io/pod": "moved" },
    },
    spec: { pod: "moved", container: "main" },
  });
  await server.admin.merge(`${backupsPath}/endless/status`, { status: { phase: "Uploading", node: "n7" } });
  await makePod("moved", "n6", { "backup.container.io/enabled": "true" });
  expect((await told("moved", "WaitsForBackup")).items.map(({ message }) => message)).toContain(
    "waits until node n7 has stored backup endless: Uploading",
  );
  await told("moved", "BackupNotAwaited");
  await makePod("back-abc-1", "n6", replica, ofReplicaSet("abc", "back"));
  const slotOf = async (pod: string): Promise<string | undefined> => {
    const { items } = await server.admin.get<List<Slotted>>(leases);
    return items.find(({ metadata }) => metadata.annotations?.["backup.container.io/pod"] === pod)?.metadata
      .annotations?.["backup.container.io/slot"];
  };
  await vi.waitUntil(async () => (await slotOf("back-abc-1")) === "0", within);
  // It never ends.
  await server.admin.request("DELETE", `${podsPath}/back-abc-1`);
  await makePod("back-abc-2", "n6", replica, ofReplicaSet("abc", "back"));
  await told("back-abc-2", "WaitsForPredecessor");
  await told("back-abc-2", "PredecessorRuns");
  await vi.waitUntil(async () => (await slotOf("back-abc-2")) === "1", within);
  expect(await slotOf("back-abc-1")).toBe("0");
  for (const name of ["moved", "back-abc-1", "back-abc-2"]) await dropPod(name);
  await server.admin.remove(`${backupsPath}/endless`);
});

interface Slotted {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
}

const invalidIn = (list: readonly Told[]): readonly string[] =>
  list.filter(({ reason }) => reason === "AnnotationInvalid").map(({ message }) => message);

test("annotations count like labels; those that make no sense are told of and change nothing", async () => {
  const annotations = {
    "backup.container.io/enabled": "true",
    "backup.container.io/schedule": "",
    "backup.container.io/on-restart": "perhaps",
    "backup.container.io/colour": "red",
  };
  const first = await bindPod("noted", {}, { annotations });
  const id = await first.start("echo kept > /kept; exec sleep 100");
  const { items } = await told("noted", "AnnotationInvalid");
  await vi.waitFor(
    async () =>
      expect(invalidIn((await server.admin.get<List<Told>>("/api/v1/namespaces/shop/events")).items)).toEqual(
        expect.arrayContaining([
          'annotation backup.container.io/schedule cannot be ""',
          'annotation backup.container.io/on-restart cannot be "perhaps"',
          "annotation backup.container.io/colour is not known",
        ]),
      ),
    within,
  );
  expect(invalidIn(items).join()).not.toContain("enabled");
  await vi.waitFor(() => first.pod.exec(id, "test -s /kept"), within);
  await first[Symbol.asyncDispose]();
  // The next pod of the name goes on with the files.
  await using second = await bindPod("noted", {}, { annotations });
  const next = await second.start("exec sleep 100");
  expect(await second.pod.exec(next, "cat /kept")).toBe("kept\n");
});

test("a storm of other writers on an object does not keep the agent from writing its word", async () => {
  await using running = await startPod("stormy", {}, "echo kept > /kept; exec sleep 100");
  await vi.waitFor(() => running.pod.exec(running.id, "test -s /kept"), within);
  const path = `${backupsPath}/stormy`;
  await server.admin.create(backupsPath, {
    apiVersion: "backup.container.io/v1alpha1",
    kind: "RootfsBackup",
    metadata: { name: "stormy" },
    spec: { pod: "stormy", container: "main" },
  });
  const over = new AbortController();
  let storm = 0;
  const blow = async (writer: number): Promise<void> => {
    while (!over.signal.aborted) {
      storm += 1;
      await server.admin.merge(path, { metadata: { annotations: { [`storm-${writer}`]: String(storm) } } });
      await server.admin.merge(`${path}/status`, { status: { size: storm } });
    }
  };
  const blowing = [1, 2, 3].map(blow);
  try {
    const { status } = await server.admin.until<BackupObject>(
      path,
      (object) => object.status?.["phase"] === "Stored",
    );
    expect(status?.["digest"]).toMatch(/^sha256:/);
  } finally {
    over.abort();
    await Promise.all(blowing);
  }
  expect(storm).toBeGreaterThan(10);
  expect(node.backups.own().filter(({ pod }) => pod?.name === "stormy")).toHaveLength(1);
});

test("an API server that hangs holds up neither a start nor a capture, and is told afterwards", async () => {
  const known = await bindPod("patient", { "backup.container.io/enabled": "true" });
  const pid = server.pid ?? 0;
  const before = new Set(node.backups.own().map(({ id }) => id));
  process.kill(pid, "SIGSTOP");
  try {
    const started = performance.now();
    const id = await known.pod.start(0, "echo kept > /kept; exec sleep 100");
    // The cluster has not told of this one.
    await using unknown = await runPod(kubelet, randomUUID(), {}, {}, "unheard");
    const other = await unknown.start(0, "exec sleep 100");
    expect(performance.now() - started).toBeLessThan(15_000);
    await vi.waitFor(() => known.pod.exec(id, "test -s /kept"), within);
    await unknown.remove(other);
    await known.pod.remove(id);
    await node.backups.settled(call.signal);
  } finally {
    process.kill(pid, "SIGCONT");
  }
  const made = node.backups.own().find(({ id }) => !before.has(id));
  expect(made).toMatchObject({ state: "stored" });
  await server.admin.until<BackupObject>(
    `${backupsPath}/${made?.id}`,
    ({ status }) => status?.["phase"] === "Stored",
  );
  await known[Symbol.asyncDispose]();
});

test("twelve pods that come at once get twelve slots; a freed one goes to exactly one of two", async () => {
  const clients = await Promise.all(["s1", "s2", "s3"].map((name) => clientOf(name)));
  for (const each of clients) resources.use(each);
  const slots = clients.map((each) => new Slots(each));
  const make = async (index: number) =>
    parsePod(
      await server.admin.create(podsPath, {
        metadata: { name: `many-${index}`, labels: replica },
        spec: {
          nodeName: "nowhere",
          automountServiceAccountToken: false,
          containers: [{ name: "main", image: "none" }],
        },
      }),
    );
  const pods = await Promise.all(Array.from({ length: 12 }, (_, index) => make(index)));
  const take = async (pod: (typeof pods)[number], index: number) =>
    await slots[index % slots.length]?.take(pod, "many", call.signal);
  const taken = await Promise.all(pods.map(take));
  expect(taken.map((slot) => slot?.number).toSorted((a = 0, b = 0) => a - b)).toEqual([...pods.keys()]);
  expect((await Promise.all(pods.map(take))).map((slot) => slot?.number)).toEqual(
    taken.map((slot) => slot?.number),
  );
  await server.admin.request("DELETE", `${podsPath}/many-5?gracePeriodSeconds=0`);
  const both = await Promise.all((await Promise.all([make(20), make(21)])).map(take));
  expect(both.map((slot) => slot?.number).toSorted((a = 0, b = 0) => a - b)).toEqual(
    [taken[5]?.number ?? -1, 12].toSorted((a, b) => a - b),
  );
  expect(both.find((slot) => slot?.number === taken[5]?.number)?.predecessor?.name).toBe("many-5");
});

test("backups of a node that is lost are marked, or shown as stored where the store has them; its return takes it back", async () => {
  const { status } = await server.admin.get<BackupObject>(`${backupsPath}/now`);
  const stored = String(status?.["id"]);
  const show = async (name: string, id: string) => {
    await server.admin.create(backupsPath, {
      apiVersion: "backup.container.io/v1alpha1",
      kind: "RootfsBackup",
      metadata: { name, labels: { "backup.container.io/node": "n3" } },
      spec: { pod: "gone", container: "main" },
    });
    await server.admin.merge(`${backupsPath}/${name}/status`, {
      status: { id, phase: "Uploading", node: "n3" },
    });
  };
  await show("unfinished", "20260101-000000-0123456789abcdef");
  await show("finished", stored);
  // A node whose clock is years behind, and that is alive.
  await server.admin.create(backupsPath, {
    apiVersion: "backup.container.io/v1alpha1",
    kind: "RootfsBackup",
    metadata: { name: "slow-clock", labels: { "backup.container.io/node": "n4" } },
    spec: { pod: "gone", container: "main" },
  });
  await server.admin.merge(`${backupsPath}/slow-clock/status`, {
    status: { phase: "Uploading", node: "n4" },
  });
  let beats = 0;
  const beat = (): Promise<unknown> =>
    server.admin.apply(`${leases}/${heartbeatName("n4")}`, {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: {
        name: heartbeatName("n4"),
        labels: { "backup.container.io/agent": "true", "backup.container.io/node": "n4" },
      },
      spec: {
        holderIdentity: "n4",
        leaseDurationSeconds: 3,
        renewTime: `2001-01-01T00:00:${String((beats += 1) % 60).padStart(2, "0")}.000000Z`,
      },
    });
  await beat();
  const beating = setInterval(() => void beat(), heartbeatMs);
  using stopping = { [Symbol.dispose]: () => clearInterval(beating) };
  const lease = (await clientOf("n3")) satisfies KubeClient;
  const claim = {
    namespace: "aeon-system",
    name: heartbeatName("n3"),
    holder: "n3",
    seconds: 3,
    labels: { "backup.container.io/agent": "true", "backup.container.io/node": "n3" },
  };
  await lease.renewLease(claim, call.signal);
  await using second = await clientOf("n2");
  await using _ = new LostNodes({
    kubernetes: second,
    find: (id, signal) => node.backups.get(id, signal).catch(() => undefined),
    log: silentLogger,
  });
  const writeAll = async (name: string, more: object) => {
    await server.admin.create(`${inShop}/rootfsbackuppolicies`, {
      apiVersion: "backup.container.io/v1alpha1",
      kind: "RootfsBackupPolicy",
      metadata: { name },
      spec: { selector: {}, ...more },
    });
  };
  await writeAll("all", {});
  await writeAll("never", { schedule: "whenever it suits" });
  await server.admin.create(podsPath, {
    metadata: { name: "counted", labels: { tier: "counted" } },
    spec: {
      nodeName: "nowhere",
      automountServiceAccountToken: false,
      containers: [{ name: "main", image: "none" }],
    },
  });
  await writeAll("some", { selector: { matchLabels: { tier: "counted" } } });
  interface Conditions {
    readonly status?: {
      readonly pods?: number;
      readonly conditions?: readonly { readonly reason: string }[];
    };
  }
  const untilReason = (name: string, reason: string) =>
    server.admin.until<Conditions>(
      `${inShop}/rootfsbackuppolicies/${name}`,
      (object) => object.status?.conditions?.some((each) => each.reason === reason) === true,
    );
  await untilReason("all", "SelectsAll");
  await untilReason("never", "ScheduleInvalid");
  const counted = await untilReason("some", "Accepted");
  expect(counted.status?.pods).toBe(1);
  await server.admin.request("DELETE", `${podsPath}/counted?gracePeriodSeconds=0`);
  await server.admin.until<Conditions>(
    `${inShop}/rootfsbackuppolicies/some`,
    ({ status: now }) => now?.pods === 0,
  );
  for (const name of ["all", "never", "some"])
    await server.admin.remove(`${inShop}/rootfsbackuppolicies/${name}`);
  const phaseOf = (name: string, phase: string) =>
    server.admin.until<BackupObject>(
      `${backupsPath}/${name}`,
      (object) => object.status?.["phase"] === phase,
    );
  // Asked for while nobody is there to take it.
  await server.admin.create(podsPath, {
    metadata: { name: "stranded" },
    spec: {
      nodeName: "n3",
      automountServiceAccountToken: false,
      containers: [{ name: "main", image: "none" }],
    },
  });
  await server.admin.create(backupsPath, {
    apiVersion: "backup.container.io/v1alpha1",
    kind: "RootfsBackup",
    metadata: { name: "unheeded" },
    spec: { pod: "stranded", container: "main" },
  });
  expect((await phaseOf("unheeded", "Pending")).status?.["reason"]).toContain("n3 is not heard of");
  const lost = await phaseOf("unfinished", "NodeLost");
  expect(lost.status?.["reason"]).toContain("n3 is not heard of");
  expect((await phaseOf("finished", "Stored")).status?.["digest"]).toBe(status?.["digest"]);
  stopping[Symbol.dispose]();
  const slow = await server.admin.get<BackupObject>(`${backupsPath}/slow-clock`);
  expect(slow.status?.["phase"]).toBe("Uploading");
  const turn = await server.admin.get<{ spec: { holderIdentity: string } }>(`${leases}/lost-nodes`);
  expect(["n1", "n2"]).toContain(turn.spec.holderIdentity);
  // The node comes back: nothing of what the others said is left.
  await using returned = controllerOf(lease);
  const back = await server.admin.until<BackupObject>(
    `${backupsPath}/unfinished`,
    (object) => object.status?.["phase"] !== "NodeLost",
  );
  expect(back.status?.["reason"]).toBeUndefined();
  // Its agent heeds what was asked for meanwhile.
  expect((await phaseOf("unheeded", "Failed")).status?.["reason"]).toContain("no running container main");
  await server.admin.request("DELETE", `${podsPath}/stranded?gracePeriodSeconds=0`);
  expect(returned.failure).toBeUndefined();
  await lease[Symbol.asyncDispose]();
});

const policy = (name: string, schedule: string) => ({
  apiVersion: "backup.container.io/v1alpha1",
  kind: "RootfsBackupPolicy",
  metadata: { name },
  spec: { selector: { matchLabels: { app: "web" } }, schedule, retention: { keepLast: 2 } },
});

test("a policy opts a pod in; one that disagrees is told of; an eviction while the API server is down is shown later", async () => {
  await server.admin.create(`${inShop}/rootfsbackuppolicies`, policy("a", "6h"));
  await using running = await startPod("web", { app: "web" }, "echo kept > /kept; exec sleep 100");
  await vi.waitFor(() => running.pod.exec(running.id, "test -s /kept"), within);
  await server.admin.create(`${inShop}/rootfsbackuppolicies`, policy("b", "1h"));
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
  expect(made?.labels).toMatchObject({ "backup.container.io/retention": '{"keepLast":2}' });
  await server.start();
  const object = await server.admin.until<BackupObject>(
    `${backupsPath}/${made?.id}`,
    ({ status }) => status?.["phase"] === "Stored",
  );
  expect(object.spec).toEqual({ pod: made?.pod?.name, container: "main" });
  expect(object.status).toMatchObject({ trigger: "evicted", consistency: "exact", podUID: running.uid });
  for (const name of ["a", "b"]) await server.admin.remove(`${inShop}/rootfsbackuppolicies/${name}`);
});
