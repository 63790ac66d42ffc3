import { digestParts, machineArchitecture, mediaTypes, refNameAnnotation, type Descriptor } from "@aeon/oci";
import { verified, type ImageBlob } from "./image-layer.ts";
import type { ImageDocuments } from "./image-documents.ts";
import { tarOf, type TarMember } from "./tar-members.ts";

export interface ArchiveOptions {
  /** Full name of the image, such as `registry.example/backups/web:monday`. */
  readonly reference: string;
  readonly signal: AbortSignal;
  /** Told with the bytes of blobs that were written since the last time. */
  readonly onBytes?: (count: number) => void;
}

/**
 * Streams an image as a tar that is an OCI image layout and, by `manifest.json`, what `docker load` reads. Throws
 * `EXPORT_BLOB_DAMAGED` when a blob is not what its digest says; what was written before is then worthless.
 */
export async function* imageArchive(
  image: ImageDocuments,
  { reference, signal, onBytes }: ArchiveOptions,
): AsyncGenerator<Uint8Array, void> {
  const { config, manifest, layers } = image;
  const blobs = new Map([config, manifest, ...layers].map((blob) => [blob.descriptor.digest, blob]));
  const content = (blob: ImageBlob) => counted(verified(blob, signal), onBytes);
  const members: TarMember[] = [
    text("oci-layout", { imageLayoutVersion: "1.0.0" }),
    text("index.json", {
      schemaVersion: 2,
      mediaType: mediaTypes.index,
      manifests: [named(manifest.descriptor, reference)],
    }),
    text("manifest.json", [
      {
        Config: pathOf(config),
        RepoTags: [reference],
        Layers: layers.map(pathOf),
      },
    ]),
    ...[...blobs.values()].map((blob) => ({
      path: pathOf(blob),
      size: blob.descriptor.size,
      content: content(blob),
    })),
  ];
  yield* tarOf(members);
}

/** Bytes of all blobs of the image, each counted once. */
export const blobBytes = ({ config, manifest, layers }: ImageDocuments): number =>
  [
    ...new Map(
      [config, manifest, ...layers].map(({ descriptor }) => [descriptor.digest, descriptor.size]),
    ).values(),
  ].reduce((sum, size) => sum + size, 0);

function pathOf({ descriptor }: ImageBlob): string {
  const { algorithm, hex } = digestParts(descriptor.digest);
  return `blobs/${algorithm}/${hex}`;
}

/** containerd takes the full name, other tools look the tag up. */
const named = (descriptor: Descriptor, reference: string): Descriptor => ({
  ...descriptor,
  platform: { architecture: machineArchitecture(), os: "linux" },
  annotations: {
    "io.containerd.image.name": reference,
    [refNameAnnotation]: reference.slice(reference.lastIndexOf(":") + 1),
  },
});

function text(path: string, value: unknown): TarMember {
  const bytes = Buffer.from(JSON.stringify(value));
  return { path, size: bytes.length, content: [bytes] };
}

async function* counted(
  chunks: AsyncIterable<Uint8Array>,
  onBytes: ArchiveOptions["onBytes"],
): AsyncGenerator<Uint8Array, void> {
  for await (const chunk of chunks) {
    yield chunk;
    onBytes?.(chunk.length);
  }
}
