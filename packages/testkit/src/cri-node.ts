import { createReadStream } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { connect } from "@aeon/containerd";
import { connectCri, type CriClient } from "@aeon/containerd/cri";
import { NamespaceMode, type PodSandboxConfigSchema } from "@aeon/proto/cri";
import type { CriHandler, PrivateContainerd } from "@aeon/standalone";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { busyboxImage } from "./busybox-image.ts";
import { launchContainerd, type LaunchOptions } from "./launch-containerd.ts";
import { pauseImage, sandboxImage } from "./pause-image.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const host = { network: NamespaceMode.NODE, pid: NamespaceMode.CONTAINER, ipc: NamespaceMode.POD };
const waitMs = 20_000;

export interface PodOptions {
  readonly name: string;
  readonly namespace?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly handler?: string;
}

export interface PodContainer {
  readonly name: string;
  readonly command: readonly string[];
}

/** A pod without containers; disposing removes it with those that were made in it. */
export interface Sandbox extends AsyncDisposable {
  readonly id: string;
  /** Creates a container and answers its id. */
  create(container: PodContainer): Promise<string>;
  /** Creates and starts a container and answers its id. */
  start(container: PodContainer): Promise<string>;
}

/** A containerd with CRI, and pods on it. */
export interface CriNode extends AsyncDisposable {
  readonly containerd: PrivateContainerd;
  readonly cri: CriClient;
  readonly image: string;
  startSandbox(pod: PodOptions): Promise<Sandbox>;
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
  options: Omit<LaunchOptions, "cri"> & { handlers?: Readonly<Record<string, CriHandler>> },
): Promise<CriNode> {
  const { handlers, ...launch } = options;
  await using resources = new AsyncDisposableStack();
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
  await until(async () => (await known(image.name)) && (await known(sandboxImage)));
  const startSandbox = (pod: PodOptions) => sandbox(cri, image.name, pod);
  const startPod = async (pod: PodOptions, command: readonly string[]) => {
    await using made = new AsyncDisposableStack();
    const owner = made.use(await startSandbox(pod));
    const container = await owner.start({ name: "main", command });
    const owned = made.move();
    return { container, [Symbol.asyncDispose]: () => owned.disposeAsync() };
  };
  const owned = resources.move();
  return {
    containerd,
    cri,
    image: image.name,
    startSandbox,
    startPod,
    async runPod(pod, command) {
      await using running = await startPod(pod, command);
      const exit = async () => (await cri.runtime.containerStatus({ containerId: running.container })).status;
      await until(async () => (await exit())?.finishedAt);
      return (await exit())?.exitCode ?? -1;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function sandbox(cri: CriClient, image: string, pod: PodOptions): Promise<Sandbox> {
  const { name, namespace = "default", annotations = {}, labels = {}, handler = "" } = pod;
  const sandboxConfig: MessageInitShape<typeof PodSandboxConfigSchema> = {
    metadata: { name, namespace, uid: `uid-${name}`, attempt: 0 },
    annotations,
    labels,
    linux: { securityContext: { namespaceOptions: host } },
  };
  const { podSandboxId } = await cri.runtime.runPodSandbox({
    config: sandboxConfig,
    runtimeHandler: handler,
  });
  const create = async ({ name: containerName, command }: PodContainer): Promise<string> => {
    const config = {
      metadata: { name: containerName, attempt: 0 },
      image: { image },
      command: [...command],
      annotations,
      labels,
    };
    return (await cri.runtime.createContainer({ podSandboxId, config, sandboxConfig })).containerId;
  };
  return {
    id: podSandboxId,
    create,
    async start(container) {
      const containerId = await create(container);
      await cri.runtime.startContainer({ containerId });
      return containerId;
    },
    async [Symbol.asyncDispose]() {
      await cri.runtime.stopPodSandbox({ podSandboxId });
      await cri.runtime.removePodSandbox({ podSandboxId });
    },
  };
}

/** CRI tells of these things only when it is asked. */
async function until(isTrue: () => Promise<unknown>): Promise<void> {
  const end = performance.now() + waitMs;
  while (!(await isTrue())) {
    if (performance.now() > end) throw new Error(`not true after ${waitMs} ms: ${isTrue.toString()}`);
    await delay(20);
  }
}
