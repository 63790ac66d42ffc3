import { isAeonError } from "@aeon/core";
import { fullImageName, type Client, type Image, type ResolvedImage } from "@aeon/containerd";
import { chainIds, type Descriptor, type Digest } from "@aeon/oci";
import { errors } from "../../errors.ts";
import { findBase, type BaseReference } from "./find-base.ts";
import type { BaseImage, ImageLayer } from "./image-layer.ts";
import { snapshotLayer } from "./snapshot-layer.ts";

export interface ContainerdBaseOptions {
  /** Seen from the namespace of the container. */
  readonly client: Client;
  /** Existing folder for layers that have to be packed again. */
  readonly spool: string;
  readonly signal: AbortSignal;
}

/**
 * The base image from containerd: its config and its layers' blobs, and for blobs that containerd discarded after
 * unpacking, the unpacked layers packed again. Throws `EXPORT_BASE_MISSING` or `EXPORT_BASE_DIFFERENT`.
 */
export async function containerdBase(
  wanted: BaseReference,
  options: ContainerdBaseOptions,
): Promise<BaseImage> {
  const { client, signal } = options;
  const where = `containerd at ${client.address}, namespace ${client.namespace}`;
  const { manifest, config } = await findBase(candidates(client, wanted, signal), wanted, where);
  const diffIds = config.rootfs.diff_ids;
  const chains = chainIds(diffIds);
  const layers: ImageLayer[] = [];
  for (const [index, descriptor] of manifest.layers.entries()) {
    const [diffId, chain] = [diffIds[index], chains[index]];
    if (diffId === undefined || chain === undefined)
      throw errors.EXPORT_BASE_DIFFERENT(`${wanted.image} in ${where} has more layers than its config names`);
    layers.push(await layerOf({ descriptor, diffId, chain }, wanted, options));
  }
  return { name: wanted.image, config, layers };
}

/** Images of the wanted name, then of any name that still stands for the wanted content. */
async function* candidates(
  client: Client,
  { image, digest }: BaseReference,
  signal: AbortSignal,
): AsyncGenerator<ResolvedImage, void> {
  for (const name of new Set([image, fullImageName(image)])) {
    const found = await unlessMissing(client.images.get(name, { signal }));
    const resolved = found && (await unlessMissing(found.resolve({ signal })));
    if (resolved !== undefined) yield resolved;
  }
  if (digest === undefined) return;
  const others: readonly Image[] = await client.images.list([`target.digest==${digest}`], { signal });
  for (const other of others) {
    const resolved = await unlessMissing(other.resolve({ signal }));
    if (resolved !== undefined) yield resolved;
  }
}

async function unlessMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isAeonError(error, "not-found")) return undefined;
    throw error;
  }
}

interface Wanted {
  readonly descriptor: Descriptor;
  readonly diffId: Digest;
  readonly chain: Digest;
}

async function layerOf(
  { descriptor, diffId, chain }: Wanted,
  { image }: BaseReference,
  { client, spool, signal }: ContainerdBaseOptions,
): Promise<ImageLayer> {
  const { digest } = descriptor;
  if (await client.content.has(digest, { signal }))
    return { descriptor, diffId, open: (reading) => client.content.read(digest, {}, { signal: reading }) };
  const packed = await snapshotLayer(client, chain, spool, signal);
  if (packed !== undefined) return packed;
  throw errors.EXPORT_BASE_MISSING(
    `layer ${digest} of ${image} is neither in containerd's content store nor unpacked as ${chain}; pull the image again, or give it as an OCI layout with --base`,
    { details: { image, digest, chain } },
  );
}
