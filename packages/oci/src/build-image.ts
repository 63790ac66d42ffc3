import { gzipSync } from "node:zlib";
import { buildLayer } from "./build-layer.ts";
import { digestOf } from "./digest.ts";
import { machineArchitecture, type Descriptor, type ImageConfig, type ImageProcess } from "./image.ts";
import type { ImageLayout } from "./image-layout.ts";
import type { LayerEntry } from "./layer-entry.ts";
import { mediaTypes } from "./media-types.ts";

export interface ImageRecipe {
  /** Name in the layout's index, such as `localhost/busybox:latest`. */
  readonly name: string;
  /** Layers, lowest first. */
  readonly layers: readonly (readonly LayerEntry[])[];
  readonly process?: ImageProcess;
  /** Compress layers with gzip; plain tar when absent. */
  readonly gzip?: boolean;
}

/** Builds an image from entries in memory and puts it into a layout. The same recipe gives the same digests. */
export async function buildImage(layout: ImageLayout, recipe: ImageRecipe): Promise<Descriptor> {
  const tars = recipe.layers.map(buildLayer);
  const layers: Descriptor[] = [];
  for (const tar of tars)
    layers.push(
      await (recipe.gzip
        ? layout.writeBlob(gzipSync(tar), mediaTypes.layerGzip)
        : layout.writeBlob(tar, mediaTypes.layer)),
    );
  const platform = { architecture: machineArchitecture(), os: "linux" };
  const config: ImageConfig = {
    ...platform,
    created: new Date(0).toISOString(),
    config: recipe.process ?? {},
    rootfs: { type: "layers", diff_ids: tars.map(digestOf) },
  };
  const manifest = await layout.writeJson(
    {
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      config: await layout.writeJson(config, mediaTypes.config),
      layers,
    },
    mediaTypes.manifest,
  );
  const descriptor = { ...manifest, platform };
  await layout.tag(descriptor, recipe.name);
  return descriptor;
}
