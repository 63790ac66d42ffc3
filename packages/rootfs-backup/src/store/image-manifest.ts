import * as v from "valibot";
import { encryptedType } from "../archive/blob-descriptor.ts";
import { errors } from "../errors.ts";
import {
  backupSchema,
  descriptorSchema,
  type BackupDocument,
  type Descriptor,
  type StoredLayer,
} from "./backup-document.ts";
import { digestOf } from "./digest.ts";
import { parseJson } from "./json-objects.ts";

const mediaTypes = {
  manifest: "application/vnd.oci.image.manifest.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar+zstd",
  artifact: "application/vnd.aeon.backup.v1",
} as const;

const manifestSchema = v.object({
  schemaVersion: v.literal(2),
  mediaType: v.literal(mediaTypes.manifest),
  config: descriptorSchema,
  layers: v.array(descriptorSchema),
});
const configSchema = v.object({ "io.aeon.backup": backupSchema });

/** A JSON blob with its descriptor. */
export interface JsonBlob {
  readonly bytes: Buffer;
  readonly descriptor: Descriptor;
}

const jsonBlob = (mediaType: string, value: unknown): JsonBlob => {
  const bytes = Buffer.from(JSON.stringify(value));
  return { bytes, descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length } };
};

/** Node's name of the architecture is not OCI's. */
const architecture = process.arch === "x64" ? "amd64" : process.arch;

/** The blobs that describe a backup as an OCI image: the configuration, which carries the document, and the manifest. */
export function describeImage(document: BackupDocument): {
  readonly config: JsonBlob;
  readonly manifest: JsonBlob;
} {
  const config = jsonBlob(mediaTypes.config, {
    created: new Date(Number(BigInt(document.createdAt) / 1_000_000n)).toISOString(),
    architecture,
    os: "linux",
    rootfs: { type: "layers", diff_ids: document.layers.map(({ diffId }) => diffId) },
    "io.aeon.backup": document,
  });
  const manifest = jsonBlob(mediaTypes.manifest, {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    artifactType: mediaTypes.artifact,
    config: config.descriptor,
    layers: document.layers.map(layerDescriptor),
    annotations: {
      "io.aeon.format": "1",
      "io.aeon.backup": document.id,
      "io.aeon.seq": String(document.seq),
      ...(document.parent !== undefined && { "io.aeon.parent": document.parent }),
    },
  });
  return { config, manifest };
}

const layerDescriptor = ({ digest, size, diffId, rawSize, backup, index, toc, cipher }: StoredLayer) => ({
  mediaType: cipher === undefined ? mediaTypes.layer : encryptedType(mediaTypes.layer),
  digest,
  size,
  annotations: {
    "io.aeon.diff-id": diffId,
    "io.aeon.raw-size": String(rawSize),
    "io.aeon.backup": backup,
    "io.aeon.index": index.digest,
    "io.aeon.toc": toc.digest,
  },
});

/** The configuration that a manifest names. Throws `BACKUP_DAMAGED`. */
export const parseManifest = (bytes: Buffer, name: string): { readonly config: Descriptor } =>
  parseJson(manifestSchema, bytes, name);
/** The backup that a configuration holds. Throws `BACKUP_DAMAGED`. */
export const parseConfig = (bytes: Buffer, name: string): BackupDocument =>
  parseJson(configSchema, bytes, name)["io.aeon.backup"];

/** Throws `BACKUP_DAMAGED` unless the bytes are what the descriptor says. */
export function verifyBlob(bytes: Buffer, { digest, size }: Descriptor): Buffer {
  if (bytes.length !== size || digestOf(bytes) !== digest)
    throw errors.BACKUP_DAMAGED(`blob ${digest} does not have its content`, { details: { digest, size } });
  return bytes;
}
