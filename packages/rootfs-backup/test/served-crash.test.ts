import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { isAeonError, snapshotKey } from "@aeon/core";
import { describeTree, difference, temporaryFolder } from "@aeon/testkit";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { enabledLabel, onExitLabel } from "../src/index.ts";
import type { Step } from "../src/capture/steps.ts";
import { call } from "./node.ts";
import { runPod, startKubeletView, within, type KubeletView } from "./pod.ts";
import { serveNode } from "./served-node.ts";

const wait = "exec sleep 86397";
const resources = new AsyncDisposableStack();
let root: string;
let address: string;
let kubelet: KubeletView;

beforeAll(async () => {
  const { path: folder } = resources.use(await temporaryFolder("k"));
  root = join(folder, "aeon");
  address = join(folder, "c", "containerd.sock");
  resources.defer(async () => await lastNode?.[Symbol.asyncDispose]());
  await using _ = await serveNode({ root, containerd: address });
  kubelet = resources.use(await startKubeletView({ version: "2.1", folder, root }));
  await kubelet.loadImages();
}, 120_000);
afterAll(async () => {
  // containerd removes what is left through the snapshotter.
  lastNode = await serveNode({ root, containerd: address });
  await untilReached();
  await resources.disposeAsync();
}, 60_000);
let lastNode: AsyncDisposable | undefined;

interface Life extends AsyncDisposable {
  /** Resolves with what ended it, such as `SIGKILL`. */
  readonly ended: Promise<string>;
}

/** A node in a process of its own that dies right after a step. */
async function live(when: Step | "never", container?: string): Promise<Life> {
  const args = [
    "--conditions=@aeon/source",
    join(import.meta.dirname, "served-child.ts"),
    root,
    address,
    when,
  ];
  const child = spawn(process.execPath, [...args, ...(container === undefined ? [] : [container])], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = once(child, "exit").then(([, signal]: unknown[]) => (signal === "SIGKILL" ? signal : "exit"));
  await Promise.race([once(child.stdout, "data"), ended]);
  const life = {
    ended,
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await ended;
    },
  };
  try {
    if (container === undefined) await untilReached();
    return life;
  } catch (error) {
    await life[Symbol.asyncDispose]();
    throw error;
  }
}

/** containerd comes back to its snapshotter in its own time; kubelet, too, tries until it has. */
async function untilReached(): Promise<void> {
  const snapshotter = kubelet.client.snapshotter("aeon");
  const key = snapshotKey(`probe-${crypto.randomUUID()}`);
  await vi.waitFor(() => snapshotter.prepare({ key, labels: {} }), within);
  // Without a lease containerd may have removed it already.
  await snapshotter.remove({ key }).catch((error: unknown) => {
    if (!isAeonError(error, "not-found")) throw error;
  });
}

const treeOf = (id: string) =>
  describeTree(join(kubelet.containerd.folder, "state/io.containerd.runtime.v2.task/k8s.io", id, "rootfs"));
const stateOf = async (id: string) => (await (await kubelet.client.container(id).task()).status()).state;
const staging = () => readdirSync(join(root, "backup/staging"));

describe("the agent is killed while it starts a container on its predecessor's files", () => {
  test.for(["settled", "dressed", "bound"] as const)(
    "right after: %s",
    { timeout: 120_000 },
    async (step) => {
      const uid = `u-${step}`;
      const setUp = await live("never");
      const pod = await runPod(kubelet, uid, { [enabledLabel]: "true" });
      const first = await pod.start(0, "echo 0 > /zero; rm /etc/motd; mkdir /d; ln /zero /d/hard; exit 1");
      await pod.exited(first);
      await setUp[Symbol.asyncDispose]();
      {
        await using life = await live(step);
        await expect(pod.start(1, wait)).rejects.toMatchObject({ code: expect.any(String) as unknown });
        expect(await life.ended).toBe("SIGKILL");
      }
      await using _ = await live("never");
      const second = await pod.start(2, wait);
      expect(await pod.exec(second, "cat /zero; test ! -e /etc/motd; stat -c %h /d/hard")).toBe("0\n2\n");
      for (const id of [first, second]) await pod.remove(id);
      await pod.stop();
    },
  );
});

test(
  "the agent is killed right after it took the layer of a container that ended",
  { timeout: 120_000 },
  async () => {
    const labels = { [enabledLabel]: "true", [onExitLabel]: "capture" };
    const setUp = await live("never");
    const pod = await runPod(kubelet, "u-exit", labels);
    await setUp[Symbol.asyncDispose]();
    let first: string;
    {
      await using life = await live("settled");
      first = await pod.start(0, "echo 0 > /zero; rm /etc/motd; sleep 1; exit 1");
      expect(await life.ended).toBe("SIGKILL");
    }
    await using node = await serveNode({ root, containerd: address });
    await untilReached();
    const backups = async () =>
      (await node.backups.list(call.signal)).filter(({ containerId }) => containerId === first);
    await vi.waitFor(async () => expect(await backups()).toMatchObject([{ state: "stored" }]), within);
    const second = await pod.start(1, wait);
    expect(await pod.exec(second, "cat /zero; test ! -e /etc/motd")).toBe("0\n");
    await pod.remove(first);
    await node.backups.settled(call.signal);
    expect(await backups()).toMatchObject([{ state: "stored", trigger: "exited", exit: { code: 1 } }]);
    expect(await pod.exec(second, "cat /zero")).toBe("0\n");
    await pod.remove(second);
    await pod.stop();
  },
);

describe("the agent is killed while it moves what a running container stands on", () => {
  test.for(["moved", "synced", "staged"] as const)("right after: %s", { timeout: 120_000 }, async (step) => {
    const setUp = await live("never");
    const pod = await runPod(kubelet, `u-${step}`, { [enabledLabel]: "true" });
    const first = await pod.start(0, "seq 1 1000 > /zero; exit 1");
    await pod.exited(first);
    const second = await pod.start(1, wait);
    const tree = await treeOf(second);
    await setUp[Symbol.asyncDispose]();
    {
      await using life = await live(step);
      await pod.remove(first).catch(() => {});
      expect(await life.ended).toBe("SIGKILL");
      expect(difference(tree, await treeOf(second))).toEqual([]);
    }
    await using node = await serveNode({ root, containerd: address });
    await untilReached();
    await kubelet.collectGarbage();
    await vi.waitFor(async () => {
      const backup = (await node.backups.list(call.signal)).find(({ containerId }) => containerId === first);
      expect(backup?.state).toBe("stored");
    }, within);
    expect(difference(tree, await treeOf(second))).toEqual([]);
    // Mounted again it is the same.
    await pod.exec(second, "echo 1 > /one");
    const left = await treeOf(second);
    await kubelet.cri.runtime.stopContainer({ containerId: second, timeout: 0n });
    const third = await pod.start(2, wait);
    expect(difference(left, await treeOf(third))).toEqual([]);
    for (const id of [second, third]) await pod.remove(id);
    await pod.stop();
    await node.backups.settled(call.signal);
    expect(staging()).toEqual([]);
  });
});

describe("the agent is killed while a container stands still", () => {
  test.for(["freezing", "frozen", "packed", "thawed"] as const)(
    "right after: %s",
    { timeout: 120_000 },
    async (step) => {
      const setUp = await live("never");
      const pod = await runPod(kubelet, `u-${step}`, {});
      const id = await pod.start(0, `echo 1 > /file; ${wait}`);
      await setUp[Symbol.asyncDispose]();
      {
        await using life = await live(step, id);
        expect(await life.ended).toBe("SIGKILL");
        expect(await stateOf(id)).toBe(step === "frozen" || step === "packed" ? "paused" : "running");
      }
      await using node = await serveNode({ root, containerd: address });
      await untilReached();
      await vi.waitFor(async () => expect(await stateOf(id)).toBe("running"), within);
      expect(await node.backups.list(call.signal)).not.toContainEqual(
        expect.objectContaining({ containerId: id }),
      );
      // Other tests' backups may still be on their way.
      await node.backups.settled(call.signal);
      expect(staging()).toEqual([]);
      expect(await pod.exec(id, "cat /file")).toBe("1\n");
      await pod.remove(id);
      await pod.stop();
    },
  );
});
