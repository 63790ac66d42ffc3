import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describeTree, difference, temporaryFolder } from "@aeon/testkit";
import { containerId, namespace, podEnds } from "@aeon/core";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { enabledLabel, keyLabel, onExitLabel, type Backup } from "../src/index.ts";
import { call } from "./node.ts";
import { runPod, startKubeletView, within, type KubeletView } from "./pod.ts";
import { serveNode, type ServedNode } from "./served-node.ts";

const enabled = { [enabledLabel]: "true" };
const space = namespace("k8s.io");
const resources = new AsyncDisposableStack();
let root: string;
let kubelet: KubeletView;
let node: ServedNode;

beforeAll(async () => {
  const { path: folder } = resources.use(await temporaryFolder("x"));
  root = join(folder, "aeon");
  node = resources.use(await serveNode({ root, containerd: join(folder, "c", "containerd.sock") }));
  kubelet = resources.use(await startKubeletView({ version: "2.1", folder, root }));
  await kubelet.loadImages();
}, 120_000);
afterAll(() => resources.disposeAsync());

const backupsOf = async (id: string): Promise<readonly Backup[]> =>
  (await node.backups.list(call.signal)).filter((each) => each.containerId === id);
const backupOf = async (id: string): Promise<Backup | undefined> => (await backupsOf(id))[0];
const stored = (id: string) =>
  vi.waitUntil(async () => {
    const backup = await backupOf(id);
    return backup?.state === "stored" && backup;
  }, within);
const treeOf = (id: string) =>
  describeTree(join(kubelet.containerd.folder, "state/io.containerd.runtime.v2.task/k8s.io", id, "rootfs"));
const entryOf = (id: string) => node.runtime.containers.byContainer(space, containerId(id));
const staging = () => readdirSync(join(root, "backup/staging"));

test(
  "a crash is backed up before anybody removes the container, and once",
  { timeout: 120_000 },
  async () => {
    await using pod = await runPod(kubelet, "u-crash", enabled);
    const id = await pod.start(0, "echo done > /work; exit 7");
    await pod.exited(id);
    const backup = await stored(id);
    expect(backup).toMatchObject({
      trigger: "exited",
      exit: { code: 7 },
      consistency: "exact",
      outOfMemory: false,
    });
    expect(entryOf(id)).toBeDefined();
    await pod.remove(id);
    await vi.waitUntil(() => entryOf(id) === undefined || entryOf(id)?.state === "backed-up", within);
    await node.backups.settled(call.signal);
    expect((await backupsOf(id)).map((each) => each.id)).toEqual([backup.id]);
    expect(staging()).toEqual([]);
  },
);

test("the end of a container that waits for its removal costs nothing", { timeout: 120_000 }, async () => {
  await using pod = await runPod(kubelet, "u-wait", { ...enabled, [onExitLabel]: "wait" });
  const id = await pod.start(0, "echo done > /work; exit 7");
  await pod.exited(id);
  await vi.waitUntil(() => entryOf(id)?.exit !== undefined, within);
  expect(await backupOf(id)).toBeUndefined();
  await pod.remove(id);
  expect(await stored(id)).toMatchObject({ trigger: "exited", exit: { code: 7 } });
});

test(
  "an eviction is the reason, whether it is told before or after the end",
  { timeout: 120_000 },
  async () => {
    const ends = node.find(podEnds);
    {
      await using pod = await runPod(kubelet, "u-before", enabled);
      const id = await pod.start(0, "echo done > /work; exit 1");
      await ends?.note("u-before", "evicted");
      await pod.exited(id);
      expect(await stored(id)).toMatchObject({ trigger: "evicted", exit: { code: 1 } });
    }
    await using pod = await runPod(kubelet, "u-after", { ...enabled, [onExitLabel]: "wait" });
    const id = await pod.start(0, "echo done > /work; exit 1");
    await pod.exited(id);
    await ends?.note("u-after", "evicted");
    await pod.remove(id);
    expect(await stored(id)).toMatchObject({ trigger: "evicted", exit: { code: 1 } });
  },
);

test(
  "a pod that replaces one whose snapshot is still there starts with what that one left",
  { timeout: 180_000 },
  async () => {
    const labels = { ...enabled, [keyLabel]: "db" };
    for (const onExit of ["capture", "wait"]) {
      const own = { ...labels, [keyLabel]: `db-${onExit}`, [onExitLabel]: onExit };
      await using first = await runPod(kubelet, `u-old-${onExit}`, own);
      const old = await first.start(0, "head -c 5000000 /dev/urandom > /data; rm /etc/motd; exit 0");
      await first.exited(old);
      // Its snapshot is not removed before the next pod starts.
      await using second = await runPod(kubelet, `u-new-${onExit}`, own);
      const next = await second.start(0, "exec sleep 86397");
      expect(entryOf(old)).toBeDefined();
      expect(await second.exec(next, "stat -c %s /data; test ! -e /etc/motd")).toBe("5000000\n");
      const tree = await treeOf(next);
      await first.remove(old);
      await stored(old);
      expect(difference(tree, await treeOf(next))).toEqual([]);
      expect(await backupsOf(old)).toHaveLength(1);
    }
  },
);
