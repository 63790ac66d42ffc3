import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { connect } from "@aeon/containerd";
import { connectCri, type CriClient } from "@aeon/containerd/cri";
import { buildImage, ImageLayout, packLayout } from "@aeon/oci";
import { NamespaceMode, type PodSandboxConfig } from "@aeon/proto/cri";
import {
  busyboxImage,
  debianFile,
  launchContainerd,
  temporaryFolder,
  type LaunchOptions,
  type PrivateContainerd,
} from "@aeon/testkit";
import { vi } from "vitest";

const sandboxImage = "localhost/pause:latest";
const host = { network: NamespaceMode.NODE, pid: NamespaceMode.CONTAINER, ipc: NamespaceMode.POD };

export interface PodOptions {
  readonly name: string;
  readonly namespace?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly handler?: string;
}

/** A containerd with CRI, and pods on it. */
export interface CriNode extends AsyncDisposable {
  readonly containerd: PrivateContainerd;
  readonly cri: CriClient;
  readonly image: string;
  /** Makes a pod, runs one container in it to its end, removes both, and answers the container's exit code. */
  runPod(pod: PodOptions, command: readonly string[]): Promise<number>;
  /** Creates and starts a pod with one container; disposing removes both. */
  startPod(
    pod: PodOptions,
    command: readonly string[],
  ): Promise<AsyncDisposable & { readonly container: string }>;
}

/** Starts a containerd with CRI and imports a pause image and busybox. */
export async function startCriNode(
  options: Omit<LaunchOptions, "cri"> & { handlers?: Record<string, string> },
): Promise<CriNode> {
  const { handlers, ...launch } = options;
  const resources = new AsyncDisposableStack();
  const folder = resources.use(await temporaryFolder("cri"));
  const containerd = resources.use(
    await launchContainerd({ ...launch, cri: { sandboxImage, ...(handlers && { handlers }) } }),
  );
  const client = resources.use(await connect({ address: containerd.address, namespace: "k8s.io" }));
  const cri = resources.use(connectCri({ address: containerd.address }));
  const image = await busyboxImage({ file: join(folder.path, "busybox.tar") });
  for (const file of [image.file, await pauseImage(folder.path)])
    await client.import(createReadStream(file), { unpack: "overlayfs" });
  const known = async (name: string) =>
    (await cri.image.imageStatus({ image: { image: name } })).image !== undefined;
  await vi.waitUntil(async () => (await known(image.name)) && (await known(sandboxImage)), {
    timeout: 20_000,
  });
  const startPod = (pod: PodOptions, command: readonly string[]) => start(cri, image.name, pod, command);
  return {
    containerd,
    cri,
    image: image.name,
    startPod,
    async runPod(pod, command) {
      await using running = await startPod(pod, command);
      const exit = async () => (await cri.runtime.containerStatus({ containerId: running.container })).status;
      await vi.waitUntil(async () => (await exit())?.finishedAt, { timeout: 20_000 });
      return (await exit())?.exitCode ?? -1;
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

async function start(cri: CriClient, image: string, pod: PodOptions, command: readonly string[]) {
  const { name, namespace = "default", annotations = {}, labels = {}, handler = "" } = pod;
  const sandboxConfig = {
    metadata: { name, namespace, uid: `uid-${name}`, attempt: 0 },
    annotations,
    labels,
    linux: { securityContext: { namespaceOptions: host } },
  } satisfies Partial<PodSandboxConfig> | object;
  const { podSandboxId } = await cri.runtime.runPodSandbox({
    config: sandboxConfig,
    runtimeHandler: handler,
  });
  const remove = async () => {
    await cri.runtime.stopPodSandbox({ podSandboxId });
    await cri.runtime.removePodSandbox({ podSandboxId });
  };
  try {
    const config = {
      metadata: { name: "main", attempt: 0 },
      image: { image },
      command: [...command],
      annotations,
      labels,
    };
    const { containerId } = await cri.runtime.createContainer({ podSandboxId, config, sandboxConfig });
    await cri.runtime.startContainer({ containerId });
    return { container: containerId, [Symbol.asyncDispose]: remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** An image that only waits, for pods' sandboxes. */
async function pauseImage(folder: string): Promise<string> {
  const content = await readFile(await debianFile("busybox-static", "bin/busybox"));
  const layout = await ImageLayout.create(join(folder, "layout"));
  await buildImage(layout, {
    name: sandboxImage,
    layers: [[{ type: "file", path: "busybox", mode: 0o755, content }]],
    process: { Entrypoint: ["/busybox", "sleep", "3600"] },
  });
  const file = join(folder, "pause.tar");
  await packLayout(layout, file);
  return file;
}
