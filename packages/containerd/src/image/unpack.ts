import { isAeonError, snapshotKey, type CallContext } from "@aeon/core";
import { chainIds, type Descriptor, type Digest, type ImageConfig, type ImageManifest } from "@aeon/oci";
import type { Connection } from "../connection.ts";
import { ContentStore } from "../content/content-store.ts";
import { Differ } from "../diff.ts";
import { errors } from "../errors.ts";
import type { CallOptions } from "../grpc/service-types.ts";
import { SnapshotClient } from "../snapshots.ts";

interface LayerStep {
  readonly layer: Descriptor;
  readonly diffId: Digest;
  readonly chain: Digest;
  readonly parent: Digest | undefined;
}

/**
 * Extracts the layers of an image into committed snapshots named by chain id, as containerd's own unpacker does.
 * Layers that are there stay; a lease of the connection, if any, protects what is under way.
 */
export async function unpack(
  connection: Connection,
  image: { readonly manifest: ImageManifest; readonly config: ImageConfig },
  snapshotter: string,
  options: CallOptions = {},
): Promise<void> {
  const { manifest, config } = image;
  const diffIds = config.rootfs.diff_ids;
  if (diffIds.length !== manifest.layers.length)
    throw errors.LAYER_DIFF_ID_MISMATCH(
      `manifest has ${manifest.layers.length} layers, config ${manifest.config.digest} ${diffIds.length}`,
    );
  const chains = chainIds(diffIds);
  const store = new ContentStore(connection);
  for (const [index, layer] of manifest.layers.entries()) {
    const [diffId, chain] = [diffIds[index], chains[index]];
    if (diffId === undefined || chain === undefined) throw new RangeError("more layers than chain ids");
    await unpackLayer(connection, snapshotter, { layer, diffId, chain, parent: chains[index - 1] }, options);
    await labelLayer(store, layer.digest, diffId, options);
  }
  const last = chains.at(-1);
  if (last !== undefined)
    await store.setLabels(
      manifest.config.digest,
      { [`containerd.io/gc.ref.snapshot.${snapshotter}`]: last },
      options,
    );
}

/** containerd may be set to drop layers once they are unpacked. */
async function labelLayer(
  store: ContentStore,
  digest: Digest,
  diffId: Digest,
  options: CallOptions,
): Promise<void> {
  try {
    await store.setLabels(digest, { "containerd.io/uncompressed": diffId }, options);
  } catch (error) {
    if (!isAeonError(error, "not-found")) throw error;
  }
}

async function unpackLayer(
  connection: Connection,
  snapshotter: string,
  step: LayerStep,
  options: CallOptions,
): Promise<void> {
  const snapshots = new SnapshotClient(connection, snapshotter);
  const { chain } = step;
  const context: Partial<CallContext> = {
    ...(options.signal && { signal: options.signal }),
    ...(options.metadata && { caller: options.metadata }),
  };
  const name = snapshotKey(chain);
  if (await exists(snapshots, chain, context)) return;
  const key = snapshotKey(`extract-${crypto.randomUUID()} ${chain}`);
  const labels = { "containerd.io/snapshot.ref": chain };
  try {
    const parent = step.parent === undefined ? {} : { parent: snapshotKey(step.parent) };
    const mounts = await snapshots.prepare({ key, labels, ...parent }, context);
    const applied = await new Differ(connection).apply(step.layer, mounts, options);
    if (applied.digest !== step.diffId)
      throw errors.LAYER_DIFF_ID_MISMATCH(
        `layer ${step.layer.digest} unpacked to ${applied.digest}, its image says ${step.diffId}`,
      );
    await snapshots.commit({ name, key, labels }, context);
  } catch (error) {
    await snapshots.remove({ key }).catch(() => {});
    // Somebody else unpacked the same layer meanwhile, or a remote snapshotter has it already.
    if (!isAeonError(error, "already-exists") || !(await exists(snapshots, chain, context))) throw error;
  }
}

async function exists(
  snapshots: SnapshotClient,
  chain: Digest,
  context: Partial<CallContext>,
): Promise<boolean> {
  try {
    await snapshots.stat({ key: snapshotKey(chain) }, context);
    return true;
  } catch (error) {
    if (isAeonError(error, "not-found")) return false;
    throw error;
  }
}
