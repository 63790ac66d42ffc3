import { randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { isAeonError, snapshotKey, type Mount } from "@aeon/core";
import type { Client, SnapshotClient } from "@aeon/containerd";
import { mediaTypes, parseDigest, type Digest } from "@aeon/oci";
import { packFile } from "../../archive/layer-file.ts";
import type { ImageLayer } from "./image-layer.ts";

/**
 * A layer that containerd has unpacked, packed again from its snapshot's folder; its digests are new. Undefined when
 * no snapshotter has it in a folder of this host.
 */
export async function snapshotLayer(
  client: Client,
  chain: Digest,
  spool: string,
  signal: AbortSignal,
): Promise<ImageLayer | undefined> {
  const source = await folderOf(client, chain, signal);
  if (source === undefined) return undefined;
  const file = join(spool, chain.replace(":", "-"));
  const { layer } = await packFile({ source, target: file, overlay: "trusted", level: 3 });
  return {
    descriptor: { mediaType: mediaTypes.layerZstd, digest: parseDigest(layer.digest), size: layer.size },
    diffId: parseDigest(layer.diffId),
    open: () => createReadStream(file),
  };
}

async function folderOf(client: Client, chain: Digest, signal: AbortSignal): Promise<string | undefined> {
  for (const { id } of await client.plugins(["type==io.containerd.snapshotter.v1"], { signal })) {
    const snapshotter = client.snapshotter(id);
    if (!(await holds(snapshotter, chain, signal))) continue;
    const folder = topFolder(await mountsOf(snapshotter, chain, signal));
    if (folder !== undefined) return folder;
  }
  return undefined;
}

async function holds(snapshotter: SnapshotClient, chain: Digest, signal: AbortSignal): Promise<boolean> {
  try {
    return (await snapshotter.stat({ key: snapshotKey(chain) }, { signal })).kind === "committed";
  } catch (error) {
    signal.throwIfAborted();
    // A snapshotter that cannot work on this host answers anything.
    if (isAeonError(error)) return false;
    throw error;
  }
}

/** Only a look at the layer has mounts that name its folder; it is not kept. */
async function mountsOf(
  snapshotter: SnapshotClient,
  chain: Digest,
  signal: AbortSignal,
): Promise<readonly Mount[]> {
  const key = snapshotKey(`aeon-export-${randomBytes(8).toString("hex")}`);
  try {
    return await snapshotter.view({ key, parent: snapshotKey(chain), labels: {} }, { signal });
  } finally {
    await snapshotter.remove({ key }).catch((error: unknown) => {
      if (!isAeonError(error, "not-found")) throw error;
    });
  }
}

function topFolder(mounts: readonly Mount[]): string | undefined {
  const [mount] = mounts;
  if (mount === undefined || mounts.length > 1) return undefined;
  if (mount.type === "bind") return mount.source;
  const lower = mount.options.find((option) => option.startsWith("lowerdir="));
  return mount.type === "overlay" ? lower?.slice("lowerdir=".length).split(":")[0] : undefined;
}
