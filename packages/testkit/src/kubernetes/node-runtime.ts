import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  findContainerd,
  startContainerd,
  type ContainerdLine,
  type PrivateContainerd,
} from "@aeon/standalone";
import { busyboxImage } from "../busybox-image.ts";
import { cniPlugins, testCache } from "../launch-containerd.ts";
import type { ClusterNetwork } from "./cluster-network.ts";
import type { NodeNamespace } from "./node-namespace.ts";
import { pauseImage, pauseImageName } from "./pause-image.ts";

export interface RuntimeOptions {
  readonly index: number;
  readonly network: ClusterNetwork;
  /** Of the node; containerd's is `c` in it. */
  readonly folder: string;
  readonly namespace: NodeNamespace;
  /** `aeon`: the agent's, for all pods; containerd's own otherwise. */
  readonly snapshotter: "aeon" | "overlayfs";
  readonly containerd?: ContainerdLine;
  readonly nri?: boolean;
}

/** A node's containerd with a network for its pods. */
export async function startRuntime(options: RuntimeOptions): Promise<PrivateContainerd> {
  const { folder, namespace, snapshotter, nri } = options;
  const cniConfig = join(folder, "cni");
  await mkdir(cniConfig);
  await writeFile(
    join(cniConfig, "10-test.conflist"),
    JSON.stringify({
      cniVersion: "0.4.0",
      name: "test",
      plugins: [
        {
          type: "bridge",
          bridge: "cni0",
          isGateway: true,
          ipMasq: false,
          ipam: {
            type: "host-local",
            dataDir: join(folder, "ipam"),
            ranges: [[{ subnet: options.network.podSubnet(options.index) }]],
            routes: [{ dst: "0.0.0.0/0" }],
          },
        },
      ],
    }),
  );
  const line = options.containerd ?? "1.7";
  const binaries = await findContainerd({ line, cache: testCache });
  return startContainerd({
    binaries,
    folder: join(folder, "c"),
    enter: namespace.enter,
    proxySnapshotters:
      snapshotter === "aeon"
        ? [{ name: "aeon", address: join(folder, "r/snapshotter.sock"), root: join(folder, "s") }]
        : [],
    cri: {
      snapshotter,
      sandboxImage: pauseImageName,
      cniBin: await cniPlugins(),
      cniConfig,
      // The runtime class's, which is nothing else where all pods have the snapshotter.
      ...(snapshotter === "aeon" && { handlers: { aeon: binaries.runc } }),
    },
    ...(nri !== undefined && { nri }),
  });
}

export interface ImportOptions extends Pick<RuntimeOptions, "folder" | "snapshotter"> {
  readonly containerd: PrivateContainerd;
  /** OCI layout tars beside busybox and pause. */
  readonly images: readonly string[];
}

/** Gives a node the images that its pods have. */
export async function importImages({
  containerd,
  folder,
  images,
  snapshotter,
}: ImportOptions): Promise<void> {
  const busybox = await busyboxImage({ file: join(folder, "busybox.tar") });
  const files = [await pauseImage(folder), busybox.file, ...images];
  for (const file of files)
    await containerd.ctr(["-n", "k8s.io", "images", "import", "--snapshotter", snapshotter, file]);
}
