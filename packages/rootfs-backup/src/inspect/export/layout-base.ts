import { stat } from "node:fs/promises";
import { join } from "node:path";
import {
  ImageLayout,
  isIndexType,
  machineArchitecture,
  parseIndex,
  refNameAnnotation,
  unpackLayout,
  type Descriptor,
  type ImageConfig,
  type ImageManifest,
} from "@aeon/oci";
import { errors } from "../../errors.ts";
import { findBase, type BaseReference } from "./find-base.ts";
import type { BaseImage } from "./image-layer.ts";

interface LayoutImage {
  readonly manifest: ImageManifest;
  readonly config: ImageConfig;
}

/**
 * The base image from an OCI image layout, a folder or a tar of one, which is unpacked below `spool`. Throws
 * `EXPORT_BASE_MISSING`, `EXPORT_BASE_DIFFERENT`, or what is wrong with the layout.
 */
export async function layoutBase(path: string, wanted: BaseReference, spool: string): Promise<BaseImage> {
  const isFolder = (await stat(path)).isDirectory();
  const layout = await (isFolder ? ImageLayout.open(path) : unpackLayout(path, join(spool, "base")));
  const { manifest, config } = await findBase(candidates(layout, wanted), wanted, path);
  const layers = manifest.layers.map((descriptor, index) => {
    const diffId = config.rootfs.diff_ids[index];
    if (diffId === undefined)
      throw errors.EXPORT_BASE_DIFFERENT(`${wanted.image} in ${path} has more layers than its config names`);
    return {
      descriptor,
      diffId,
      open: async function* () {
        yield* await layout.readBlob(descriptor);
      },
    };
  });
  return { name: wanted.image, config, layers };
}

/** Images by digest, then by name, then, if the backup knows by which layers to choose, all others. */
async function* candidates(
  layout: ImageLayout,
  { image, digest, diffIds, chainId }: BaseReference,
): AsyncGenerator<LayoutImage, void> {
  const { manifests } = await layout.index();
  const names = new Set([image, image.slice(image.lastIndexOf(":") + 1)]);
  const isNamed = ({ annotations = {} }: Descriptor): boolean =>
    names.has(annotations[refNameAnnotation] ?? "") || annotations["io.containerd.image.name"] === image;
  const likely = [...manifests.filter((found) => found.digest === digest), ...manifests.filter(isNamed)];
  const others = manifests.length === 1 || (diffIds ?? chainId) !== undefined ? manifests : [];
  for (const descriptor of new Set([...likely, ...others])) yield* imagesOf(layout, descriptor);
}

/** Indexes may nest; real ones do so once. */
const maxDepth = 4;

async function* imagesOf(
  layout: ImageLayout,
  descriptor: Descriptor,
  depth = 0,
): AsyncGenerator<LayoutImage, void> {
  const { platform } = descriptor;
  if (platform !== undefined && platform.architecture !== machineArchitecture()) return;
  if (!isIndexType(descriptor.mediaType)) yield await layout.readImage(descriptor);
  else if (depth < maxDepth)
    for (const child of parseIndex(await layout.readDocument(descriptor)).manifests)
      yield* imagesOf(layout, child, depth + 1);
}
