import {
  digestOf,
  mediaTypes,
  dockerMediaTypes,
  machineArchitecture,
  type Descriptor,
  type ImageConfig,
} from "@aeon/oci";
import type { BaseImage, ImageBlob, ImageLayer } from "./image-layer.ts";

/** The parts of an image that are JSON. */
export interface ImageDocuments {
  readonly config: ImageBlob;
  readonly manifest: ImageBlob;
  /** All layers, those of the base first. */
  readonly layers: readonly ImageLayer[];
}

/** What the history says of a layer that is put upon the base. */
export interface LayerOrigin {
  readonly createdAt: Date;
  readonly createdBy: string;
}

/** An own layer with its line of history. */
export type OwnLayer = ImageLayer & { readonly origin: LayerOrigin };

/** Describes the base's layers with those above as one image; runs as the base does. */
export function imageDocuments(base: BaseImage | undefined, own: readonly OwnLayer[]): ImageDocuments {
  const layers = [...(base?.layers ?? []), ...own];
  const from: ImageConfig = base?.config ?? {
    architecture: machineArchitecture(),
    os: "linux",
    rootfs: { type: "layers", diff_ids: [] },
  };
  const created = own.at(-1)?.origin.createdAt.toISOString() ?? from.created;
  const config = jsonBlob(mediaTypes.config, {
    ...from,
    ...(created !== undefined && { created }),
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
    history: [...historyOf(base), ...own.map(historyLine)],
  });
  const manifest = jsonBlob(mediaTypes.manifest, {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: config.descriptor,
    layers: layers.map(({ descriptor }) => ociDescriptor(descriptor)),
  });
  return { config, manifest, layers };
}

/** Tools compare the number of lines that stand for a layer with the number of layers, so none may lack. */
function historyOf(base: BaseImage | undefined): readonly object[] {
  if (base === undefined) return [];
  const lines = base.config.history ?? [];
  const said = lines.filter(({ empty_layer: isEmpty }) => isEmpty !== true).length;
  return said === base.layers.length ? lines : base.layers.map(() => ({ created_by: base.name }));
}

const historyLine = ({ origin }: OwnLayer): object => ({
  created: origin.createdAt.toISOString(),
  created_by: origin.createdBy,
});

const ociTypes: Readonly<Record<string, string>> = {
  [dockerMediaTypes.layer]: mediaTypes.layer,
  [dockerMediaTypes.layerGzip]: mediaTypes.layerGzip,
  "application/vnd.docker.image.rootfs.diff.tar.zstd": mediaTypes.layerZstd,
};

/** Docker's and OCI's names do not mix in one manifest; the blobs are the same. */
const ociDescriptor = ({ mediaType, digest, size }: Descriptor): Descriptor => ({
  mediaType: ociTypes[mediaType] ?? mediaType,
  digest,
  size,
});

function jsonBlob(mediaType: string, value: unknown): ImageBlob {
  const bytes = Buffer.from(JSON.stringify(value));
  return {
    descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length },
    open: async function* () {
      yield bytes;
    },
  };
}
