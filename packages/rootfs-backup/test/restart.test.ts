import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { containerId, namespace } from "@aeon/core";
import { containerdVersions, describeTree, difference, temporaryFolder } from "@aeon/testkit";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { enabledLabel, onRestartLabel, type Backup } from "../src/index.ts";
import { call } from "./node.ts";
import { runPod, startKubeletView, within, type KubeletView } from "./pod.ts";
import { serveNode, type ServedNode } from "./served-node.ts";

const enabled = { [enabledLabel]: "true" };
const space = namespace("k8s.io");
const wait = "exec sleep 86397";

describe.each(containerdVersions)("containers restarted in their pod by containerd %s", (version) => {
  const resources = new AsyncDisposableStack();
  let folder: string;
  let root: string;
  let kubelet: KubeletView;
  let node: ServedNode;

  beforeAll(async () => {
    ({ path: folder } = resources.use(await temporaryFolder("r")));
    root = join(folder, "aeon");
    const address = join(folder, "c", "containerd.sock");
    // Layers are settled by their successors here; exit.test.ts has those that are when their containers end.
    node = resources.use(await serveNode({ root, containerd: address, config: { "on-exit": "wait" } }));
    kubelet = resources.use(await startKubeletView({ version, folder, root }));
    await kubelet.loadImages();
  }, 120_000);
  afterAll(() => resources.disposeAsync());

  const treeOf = (id: string) =>
    describeTree(join(kubelet.containerd.folder, "state/io.containerd.runtime.v2.task/k8s.io", id, "rootfs"));
  const backupsOf = async (...ids: readonly string[]): Promise<readonly (Backup | undefined)[]> => {
    const all = await node.backups.list(call.signal);
    return ids.map((id) => all.find((each) => each.containerId === id));
  };
  const staging = () => readdirSync(join(root, "backup/staging"));

  test(
    "they start with what the one before left, also while that one is removed",
    { timeout: 120_000 },
    async () => {
      await using pod = await runPod(kubelet, "u-keep", enabled);
      const first = await pod.start(
        0,
        `echo 0 > /zero; rm /etc/motd; rm -rf /usr/share/doc; mkdir -p /usr/share/doc /d/e; echo new > /usr/share/doc/new
       ln /zero /d/hard; ln -s ../zero /d/soft; chmod 1777 /d; chown 5:6 /d/e; chmod 750 /; exit 3`,
      );
      expect(await pod.exited(first)).toBe(3);

      const second = await pod.start(
        1,
        `test "$(cat /zero /usr/share/doc/new)" = "0\nnew"; test ! -e /etc/motd; ${wait}`,
      );
      await vi.waitFor(() => pod.exec(second, "stat -c %a%u%g / /d /d/e"), within);
      expect(await pod.exec(second, "stat -c %a-%u-%g / /d /d/e")).toBe("750-0-0\n1777-0-0\n755-5-6\n");
      const before = await treeOf(second);
      await pod.remove(first);
      await vi.waitUntil(() => staging().length === 1, within);
      expect(difference(before, await treeOf(second))).toEqual([]);
      await pod.exec(second, "echo 1 > /one; rm /d/hard; echo more >> /zero");
      const left = await treeOf(second);
      await vi.waitFor(async () => expect((await backupsOf(first))[0]?.state).toBe("stored"), within);
      // What a running container stands on stays, though it is stored.
      expect(staging()).toHaveLength(1);
      expect(difference(left, await treeOf(second))).toEqual([]);

      await kubelet.cri.runtime.stopContainer({ containerId: second, timeout: 0n });
      const third = await pod.start(2, wait);
      expect(difference(left, await treeOf(third))).toEqual([]);
      await pod.exec(third, "echo 2 > /two; rm /one");
      const last = await treeOf(third);
      // The last one goes first: its backup has to wait for those that it stands on.
      await pod.remove(third);
      await pod.remove(second);
      await pod.stop();
      await node.backups.settled(call.signal);

      const [zero, one, two] = await backupsOf(first, second, third);
      expect([zero, one, two]).toMatchObject([
        { state: "stored", trigger: "restart", exit: { code: 3 } },
        { state: "stored", trigger: "restart", exit: { code: 137 }, parent: zero?.id },
        { state: "stored", trigger: "exited", exit: { code: 137 }, parent: one?.id },
      ]);
      expect(staging()).toEqual([]);
      await using later = await runPod(kubelet, "u-later", {});
      const { containerId: id } = await kubelet.cri.runtime.createContainer({
        podSandboxId: later.id,
        sandboxConfig: { metadata: { name: "pod-u-later", namespace: "shop", uid: "u-later", attempt: 0 } },
        config: { metadata: { name: "main" }, image: { image: kubelet.image }, command: ["sleep", "100"] },
      });
      if (two === undefined) throw new Error("no backup was made");
      await node.backups.requestRestore(
        { backupId: two.id, namespace: space, containerId: containerId(id) },
        call.signal,
      );
      await kubelet.cri.runtime.startContainer({ containerId: id });
      // Backups leave out the files that the runtime makes for its own mounts, so they are new.
      const stubs = /^"\.\/etc(?:\/(?:hosts|hostname|resolv\.conf))?":/;
      const differences = difference(last, await treeOf(id));
      expect(differences.filter((line) => !stubs.test(line))).toEqual([]);
      await later.remove(id);
    },
  );

  test("a start that fails in between loses nothing", { timeout: 60_000 }, async () => {
    await using pod = await runPod(kubelet, "u-fail", enabled);
    const first = await pod.start(0, "echo 0 > /zero; exit 1");
    await pod.exited(first);
    await expect(
      kubelet.cri.runtime.startContainer({ containerId: await createBroken(pod.id, "u-fail") }),
    ).rejects.toThrow(/none/);
    const second = await pod.start(2, wait);
    expect(await pod.exec(second, "cat /zero")).toBe("0\n");
  });

  test(
    "they start clean where the policy says so, and are kept all the same",
    { timeout: 60_000 },
    async () => {
      await using pod = await runPod(kubelet, "u-fresh", { ...enabled, [onRestartLabel]: "fresh" });
      const first = await pod.start(0, "echo 0 > /zero; exit 1");
      await pod.exited(first);
      const second = await pod.start(1, wait);
      expect(
        existsSync(
          join(
            kubelet.containerd.folder,
            "state/io.containerd.runtime.v2.task/k8s.io",
            second,
            "rootfs/zero",
          ),
        ),
      ).toBe(false);
      await pod.remove(first);
      await vi.waitFor(async () => expect((await backupsOf(first))[0]?.state).toBe("stored"), within);
    },
  );

  test("those of pods that ask for nothing start clean", { timeout: 60_000 }, async () => {
    await using pod = await runPod(kubelet, "u-none", {});
    await pod.exited(await pod.start(0, "echo 0 > /zero; exit 1"));
    const second = await pod.start(1, wait);
    expect(await pod.exec(second, "ls /")).not.toContain("zero");
  });

  /** A container whose program does not exist. */
  async function createBroken(podSandboxId: string, uid: string): Promise<string> {
    const labels = {
      "io.kubernetes.pod.name": `pod-${uid}`,
      "io.kubernetes.pod.namespace": "shop",
      "io.kubernetes.pod.uid": uid,
      "io.kubernetes.container.name": "main",
    };
    const { containerId: id } = await kubelet.cri.runtime.createContainer({
      podSandboxId,
      sandboxConfig: { metadata: { name: `pod-${uid}`, namespace: "shop", uid, attempt: 0 } },
      config: {
        metadata: { name: "main", attempt: 1 },
        image: { image: kubelet.image },
        command: ["/none"],
        labels,
      },
    });
    return id;
  }
});
