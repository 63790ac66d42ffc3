import { createReadStream } from "node:fs";
import { join } from "node:path";
import { openClient, type Client } from "@aeon/containerd";
import { connectCri, type CriClient } from "@aeon/containerd/cri";
import type { Labels } from "@aeon/core";
import { ContainerState, NamespaceMode } from "@aeon/proto/cri";
import type { ContainerdLine } from "@aeon/standalone";
import {
  busyboxImage,
  launchContainerd,
  pauseImage,
  sandboxImage,
  type PrivateContainerd,
} from "@aeon/testkit";
import { vi } from "vitest";
import { socketOf } from "./served-node.ts";

export const within = { timeout: 30_000, interval: 50 };

/** A containerd with CRI, as kubelet uses it, whose snapshotter is a served node. */
export interface KubeletView extends AsyncDisposable {
  readonly containerd: PrivateContainerd;
  readonly client: Client;
  readonly cri: CriClient;
  readonly image: string;
  /** Lets containerd remove what was deleted; by itself it takes its time on a busy machine. */
  collectGarbage(): Promise<void>;
  /** Unpacks the images; the node has to be served. */
  loadImages(): Promise<void>;
}

export interface KubeletOptions {
  readonly version: ContainerdLine;
  readonly folder: string;
  /** Root of the served node. */
  readonly root: string;
}

/** Starts it. The node may be served before or after. */
export async function startKubeletView({ version, folder, root }: KubeletOptions): Promise<KubeletView> {
  await using starting = new AsyncDisposableStack();
  const containerd = starting.use(
    await launchContainerd({
      version,
      folder: join(folder, "c"),
      proxySnapshotters: [{ name: "aeon", address: socketOf(root), root: join(root, "snapshots") }],
      cri: { snapshotter: "aeon", sandboxImage },
    }),
  );
  const client = starting.use(openClient({ address: containerd.address, namespace: "k8s.io" }));
  const cri = starting.use(connectCri({ address: containerd.address }));
  const busybox = await busyboxImage({ file: join(folder, "busybox.tar") });
  const pause = await pauseImage(folder);
  const resources = starting.move();
  return {
    containerd,
    client,
    cri,
    image: busybox.name,
    async collectGarbage() {
      const { id } = await client.leases.create({});
      await client.leases.delete(id, { sync: true });
    },
    async loadImages() {
      await client.import(createReadStream(pause), { unpack: "aeon" });
      await client.import(createReadStream(busybox.file), { unpack: "aeon" });
      // The CRI plugin learns of images by an event.
      const image = { image: { image: busybox.name } };
      await vi.waitUntil(async () => (await cri.image.imageStatus(image)).image !== undefined, within);
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

/** A pod with containers named `main`, one after another. */
export interface Pod extends AsyncDisposable {
  readonly id: string;
  /** Makes and starts a container as kubelet does; gives its id. */
  start(attempt: number, script: string, name?: string): Promise<string>;
  /** Runs a script in a container; gives its output. */
  exec(id: string, script: string): Promise<string>;
  /** Resolves with the exit code. */
  exited(id: string): Promise<number>;
  /** Ends a container and removes it, with its snapshot. */
  remove(id: string): Promise<void>;
  /** Removes the sandbox. */
  stop(): Promise<void>;
}

/** Runs a pod's sandbox. */
export async function runPod(
  kubelet: KubeletView,
  uid: string,
  podLabels: Labels,
  annotations: Labels = {},
  name = `pod-${uid}`,
): Promise<Pod> {
  const { cri, image } = kubelet;
  const labels = {
    "io.kubernetes.pod.name": name,
    "io.kubernetes.pod.namespace": "shop",
    "io.kubernetes.pod.uid": uid,
  };
  const host = { network: NamespaceMode.NODE, pid: NamespaceMode.CONTAINER, ipc: NamespaceMode.POD };
  const sandboxConfig = {
    metadata: { name, namespace: "shop", uid, attempt: 0 },
    labels: { ...labels, ...podLabels },
    annotations: { ...annotations },
    linux: { securityContext: { namespaceOptions: host } },
  };
  const { podSandboxId } = await cri.runtime.runPodSandbox({ config: sandboxConfig });
  const statusOf = async (containerId: string) => (await cri.runtime.containerStatus({ containerId })).status;
  let isStopped = false;
  const stop = async (): Promise<void> => {
    if (isStopped) return;
    isStopped = true;
    await cri.runtime.stopPodSandbox({ podSandboxId });
    await cri.runtime.removePodSandbox({ podSandboxId });
    await kubelet.collectGarbage();
  };
  return {
    id: podSandboxId,
    async start(attempt, script, container = "main") {
      const { containerId } = await cri.runtime.createContainer({
        podSandboxId,
        sandboxConfig,
        config: {
          metadata: { name: container, attempt },
          image: { image },
          command: ["sh", "-euc", script],
          labels: { ...labels, "io.kubernetes.container.name": container },
        },
      });
      await cri.runtime.startContainer({ containerId });
      return containerId;
    },
    async exec(containerId, script) {
      const { stdout, stderr, exitCode } = await cri.runtime.execSync({
        containerId,
        cmd: ["sh", "-euc", script],
        timeout: 20n,
      });
      if (exitCode !== 0) throw new Error(`exit ${exitCode}: ${Buffer.from(stderr).toString()}`);
      return Buffer.from(stdout).toString();
    },
    async exited(id) {
      const ended = await vi.waitUntil(async () => {
        const status = await statusOf(id);
        return status?.state === ContainerState.CONTAINER_EXITED ? status : undefined;
      }, within);
      return ended.exitCode;
    },
    async remove(containerId) {
      await cri.runtime.stopContainer({ containerId, timeout: 0n });
      await cri.runtime.removeContainer({ containerId });
      await kubelet.collectGarbage();
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
