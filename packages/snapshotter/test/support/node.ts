import { createReadStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { openClient, type Client } from "@aeon/containerd";
import { busyboxImage, launchContainerd, temporaryFolder, type PrivateContainerd } from "@aeon/testkit";
import { vi } from "vitest";
import { openSnapshotterRuntime, type SnapshotterRuntime } from "../../src/index.ts";

/** A private containerd whose proxy snapshotter `aeon` is served by this process. */
export interface TestNode extends AsyncDisposable {
  readonly containerd: PrivateContainerd;
  readonly client: Client;
  readonly image: string;
  readonly folder: string;
  readonly runtime: SnapshotterRuntime;
  /** Lets containerd's garbage collector remove what was deleted; by itself it takes its time on a busy machine. */
  collectGarbage(): Promise<void>;
  /** Ends the snapshotter and starts it again on the same files. */
  restartSnapshotter(): Promise<void>;
}

export interface TestNodeOptions {
  readonly version: "2.1" | "1.7";
  /** Turns CRI on with this sandbox image. */
  readonly sandboxImage?: string;
}

/** Starts the snapshotter before containerd, as on a real node, and unpacks busybox on it. */
export async function startNode({ version, sandboxImage }: TestNodeOptions): Promise<TestNode> {
  await using starting = new AsyncDisposableStack();
  const { path: folder } = starting.use(await temporaryFolder("reg"));
  const address = join(folder, "c", "containerd.sock");
  const client = starting.use(openClient({ address, namespace: "default" }));
  const socket = join(folder, "aeon.sock");
  const root = join(folder, "aeon");
  await mkdir(root);
  const open = async (): Promise<SnapshotterRuntime> => {
    const runtime = await openSnapshotterRuntime({
      backend: { type: "overlayfs", root },
      root,
      socket,
      proxyName: "aeon",
      containerd: client,
    });
    await runtime.listen();
    return runtime;
  };
  let runtime = await open();
  starting.defer(() => runtime[Symbol.asyncDispose]());
  const containerd = starting.use(
    await launchContainerd({
      version,
      folder: join(folder, "c"),
      proxySnapshotters: [{ name: "aeon", address: socket, root }],
      ...(sandboxImage !== undefined && { cri: { snapshotter: "aeon", sandboxImage } }),
    }),
  );
  await vi.waitFor(() => client.version(), { timeout: 10_000, interval: 100 });
  const image = await busyboxImage({ file: join(folder, "busybox.tar") });
  await client.import(createReadStream(image.file), { unpack: "aeon" });
  const resources = starting.move();
  return {
    containerd,
    client,
    image: image.name,
    folder,
    get runtime() {
      return runtime;
    },
    async collectGarbage() {
      const { id } = await client.leases.create({});
      await client.leases.delete(id, { sync: true });
    },
    async restartSnapshotter() {
      await runtime[Symbol.asyncDispose]();
      runtime = await open();
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}
