import { join } from "node:path";
import { containerId, namespace, type ContainerId } from "@aeon/core";
import { describeTree, difference, temporaryFolder } from "@aeon/testkit";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import {
  enabledLabel,
  excludeContainersLabel,
  scheduleLabel,
  type Backup,
  type CaptureProgress,
  type DrainedContainer,
} from "../src/index.ts";
import { steps } from "../src/capture/steps.ts";
import { call } from "./node.ts";
import { runPod, startKubeletView, within, type KubeletView, type Pod } from "./pod.ts";
import { serveNode, type ServedNode } from "./served-node.ts";

const space = namespace("k8s.io");
const resources = new AsyncDisposableStack();
let kubelet: KubeletView;
let node: ServedNode;
let pod: Pod;
let main: ContainerId;

beforeAll(async () => {
  const { path: folder } = resources.use(await temporaryFolder("l"));
  const root = join(folder, "aeon");
  node = resources.use(await serveNode({ root, containerd: join(folder, "c", "containerd.sock") }));
  kubelet = resources.use(await startKubeletView({ version: "2.1", folder, root }));
  await kubelet.loadImages();
  pod = resources.use(await runPod(kubelet, "u-live", {}));
  main = containerId(
    await pod.start(
      0,
      "echo kept > /kept; rm /etc/motd; i=0; while :; do i=$((i + 1)); echo $i > /count; sleep 0.01; done",
    ),
  );
  await vi.waitFor(() => pod.exec(main, "test -s /count"), within);
}, 120_000);
afterAll(() => resources.disposeAsync());

const treeOf = (id: string) =>
  describeTree(join(kubelet.containerd.folder, "state/io.containerd.runtime.v2.task/k8s.io", id, "rootfs"));
const count = async (): Promise<number> => Number(await pod.exec(main, "cat /count || echo 0"));
const stateOf = async () => (await (await node.client.container(main).task()).status()).state;

async function stored({ id }: Backup): Promise<Backup> {
  let last: Backup | undefined;
  for await (const each of node.backups.watch(id, call.signal)) last = each;
  if (last?.state !== "stored") throw new Error(last?.failure ?? "no backup");
  return last;
}

/** The files of a backup in a new container. */
async function restored(backup: Backup) {
  const { containerId: id } = await kubelet.cri.runtime.createContainer({
    podSandboxId: pod.id,
    sandboxConfig: { metadata: { name: "pod-u-live", namespace: "shop", uid: "u-live", attempt: 0 } },
    config: {
      metadata: { name: `r-${backup.id}` },
      image: { image: kubelet.image },
      command: ["sleep", "100"],
    },
  });
  const request = { backupId: backup.id, namespace: space, containerId: containerId(id) };
  await node.backups.requestRestore(request, call.signal);
  await kubelet.cri.runtime.startContainer({ containerId: id });
  const tree = await treeOf(id);
  await pod.remove(id);
  return tree;
}

test("a container is backed up while it runs", { timeout: 60_000 }, async () => {
  const progress: CaptureProgress[] = [];
  const backup = await node.backups.create(
    { namespace: space, containerId: main, trigger: "manual" },
    { signal: call.signal, onProgress: (each) => void progress.push(each) },
  );
  expect(backup).toMatchObject({ trigger: "manual", consistency: "live", containerId: main });
  expect(new Set(progress.map(({ phase }) => phase))).toEqual(new Set(["waiting", "reading", "staged"]));
  const ran = await count();
  await vi.waitFor(async () => expect(await count()).not.toBe(ran), within);
  const tree = await restored(await stored(backup));
  expect([tree.has("./kept"), tree.has("./etc/motd"), tree.has("./count")]).toEqual([true, false, true]);
});

test(
  "a container that stands still shows one moment, and goes on afterwards",
  { timeout: 60_000 },
  async () => {
    let [atFreeze, atPack]: (string | undefined)[] = [];
    const onStep = async (message: unknown): Promise<void> => {
      if ((message as { step: string }).step === "frozen") atFreeze = await stateOf();
      if ((message as { step: string }).step === "packed") atPack = await stateOf();
    };
    const listener = (message: unknown): void => void onStep(message);
    steps.subscribe(listener);
    const request = {
      namespace: space,
      containerId: main,
      trigger: "manual",
      pause: { maxMs: 30_000, otherwise: "fail" },
    } as const;
    const backup = await node.backups.create(request, { signal: call.signal });
    steps.unsubscribe(listener);
    expect(backup.consistency).toBe("frozen");
    await vi.waitFor(() => expect(atFreeze).toBe("paused"), within);
    expect(["paused", "running"]).toContain(atPack);
    expect(await stateOf()).toBe("running");
    await stored(backup);
  },
);

test("the bound on standing still is kept, and what was missed is said", { timeout: 60_000 }, async () => {
  await pod.exec(main, "dd if=/dev/urandom of=/big bs=1M count=150 2>/dev/null");
  const request = { namespace: space, containerId: main, trigger: "manual" } as const;
  await expect(
    node.backups.create({ ...request, pause: { maxMs: 150, otherwise: "fail" } }, { signal: call.signal }),
  ).rejects.toMatchObject({ reason: "PAUSE_TOO_SHORT" });
  expect(await stateOf()).toBe("running");
  const backup = await node.backups.create(
    { ...request, pause: { maxMs: 150, otherwise: "live" } },
    { signal: call.signal },
  );
  expect(backup.consistency).toBe("live");
  expect(await stateOf()).toBe("running");
  expect((await node.backups.list(call.signal))[0]?.id).toBe(backup.id);
  await pod.exec(main, "rm /big");
  await stored(backup);
});

test("one container is backed up once at a time, and only one that is there", async () => {
  const request = { namespace: space, containerId: main, trigger: "manual" } as const;
  const first = node.backups.create(request, { signal: call.signal });
  await expect(node.backups.create(request, { signal: call.signal })).rejects.toMatchObject({
    reason: "CAPTURE_RUNNING",
  });
  await first;
  for (const id of ["none", pod.id])
    await expect(
      node.backups.create({ ...request, containerId: containerId(id) }, { signal: call.signal }),
    ).rejects.toMatchObject({ reason: "CONTAINER_NOT_CAPTURABLE" });
});

test("later backups stand for themselves", { timeout: 60_000 }, async () => {
  const request = { namespace: space, containerId: main, trigger: "manual" } as const;
  await pod.exec(main, "echo later > /later");
  const one = await stored(await node.backups.create(request, { signal: call.signal }));
  await pod.exec(main, "rm /later; echo last > /last");
  const two = await stored(await node.backups.create(request, { signal: call.signal }));
  expect([one.parent, two.parent]).toEqual([undefined, undefined]);
  const [first, second] = [await restored(one), await restored(two)];
  expect([first.has("./later"), first.has("./last")]).toEqual([true, false]);
  expect([second.has("./later"), second.has("./last")]).toEqual([false, true]);
  expect(difference(first, second).length).toBeGreaterThan(0);
});

test("a drain takes what is kept and runs, and nothing else", { timeout: 60_000 }, async () => {
  const labels = { [enabledLabel]: "true", [excludeContainersLabel]: "sidecar.other" };
  await using kept = await runPod(kubelet, "u-drain", labels);
  const ended = await kept.start(0, "echo 1 > /ended; exit 0", "init");
  await kept.exited(ended);
  const app = await kept.start(0, "echo 1 > /app; exec sleep 86397", "app");
  const sidecar = await kept.start(0, "echo 1 > /sidecar; exec sleep 86397", "sidecar");
  const drained: DrainedContainer[] = [];
  const onContainer = (each: DrainedContainer): void => void drained.push(each);
  expect(await node.backups.drain({}, { signal: call.signal, onContainer })).toEqual({
    containers: 1,
    failed: 0,
    pending: 0,
  });
  expect(drained).toMatchObject([{ containerId: app, backup: { state: "stored", trigger: "drain" } }]);
  for (const id of [app, sidecar, ended]) await kept.remove(id);
  await vi.waitFor(async () => {
    const backups = await node.backups.list(call.signal);
    const taken = (id: string) => backups.filter((each) => each.containerId === id).length;
    expect([taken(app), taken(sidecar), taken(ended)]).toEqual([2, 0, 1]);
  }, within);
});

test("kept containers are backed up on their schedule, others are not", { timeout: 60_000 }, async () => {
  // As an annotation, since no label of Kubernetes can hold a cron expression.
  const annotations = { [scheduleLabel]: "*/2 * * * * *" };
  const labels = { [enabledLabel]: "true", [excludeContainersLabel]: "sidecar" };
  await using scheduled = await runPod(kubelet, "u-schedule", labels, annotations);
  const app = await scheduled.start(0, "echo 1 > /app; exec sleep 86397", "app");
  const sidecar = await scheduled.start(0, "echo 1 > /sidecar; exec sleep 86397", "sidecar");
  await vi.waitFor(async () => {
    const backups = (await node.backups.list(call.signal)).filter((each) => each.containerId === app);
    expect(backups.length).toBeGreaterThan(1);
    for (const each of backups) expect(each).toMatchObject({ trigger: "scheduled", consistency: "live" });
  }, within);
  await kubelet.cri.runtime.stopContainer({ containerId: app, timeout: 0n });
  await scheduled.remove(sidecar);
  const backups = await node.backups.list(call.signal);
  expect(backups.filter((each) => each.containerId === sidecar)).toEqual([]);
});
