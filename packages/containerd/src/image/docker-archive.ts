import * as v from "valibot";
import { dockerMediaTypes, type Descriptor } from "@aeon/oci";
import type { ContentStore } from "../content/content-store.ts";
import { errors } from "../errors.ts";
import type { CallOptions } from "../grpc/service-types.ts";
import type { Archive, ArchivedBlob } from "./archive.ts";

/** One image of a Docker archive. */
export interface DockerImage {
  readonly tags: readonly string[];
  readonly target: Descriptor;
}

const manifestJson = v.array(
  v.looseObject({
    Config: v.string(),
    RepoTags: v.nullish(v.array(v.string())),
    Layers: v.nullish(v.array(v.string())),
  }),
);

/** Makes a manifest for every image of a Docker archive (`docker save`), which itself has none. */
export async function dockerManifests(
  store: ContentStore,
  archive: Archive,
  options: CallOptions,
): Promise<readonly DockerImage[]> {
  const made: DockerImage[] = [];
  for (const { Config, RepoTags, Layers } of parseTable(archive.dockerManifest)) {
    const manifest = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: dockerMediaTypes.manifest,
        config: describe(dockerMediaTypes.config, fileOf(archive, Config)),
        layers: (Layers ?? []).map((path) => layerOf(fileOf(archive, path))),
      }),
    );
    const digest = await store.ingest(
      {
        ref: `import-${crypto.randomUUID()}`,
        size: manifest.length,
        open: async function* () {
          yield manifest;
        },
      },
      options,
    );
    made.push({
      tags: RepoTags ?? [],
      target: { mediaType: dockerMediaTypes.manifest, digest, size: manifest.length },
    });
  }
  return made;
}

function parseTable(document: Buffer | undefined): v.InferOutput<typeof manifestJson> {
  try {
    return v.parse(manifestJson, JSON.parse(document?.toString() ?? ""));
  } catch (error) {
    throw errors.IMAGE_ARCHIVE_INVALID("manifest.json of the archive is malformed", { cause: error });
  }
}

function fileOf({ files }: Archive, path: string): ArchivedBlob {
  const file = files.get(path);
  if (file === undefined) throw errors.IMAGE_ARCHIVE_INVALID(`the archive lacks ${path}`);
  return file;
}

const describe = (mediaType: string, { digest, size }: ArchivedBlob): Descriptor => ({
  mediaType,
  digest,
  size,
});

const gzipMagic = Buffer.from([0x1f, 0x8b]);
const zstdMagic = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

function layerOf(file: ArchivedBlob): Descriptor {
  const startsWith = (magic: Buffer): boolean => file.head.subarray(0, magic.length).equals(magic);
  if (startsWith(gzipMagic)) return describe(dockerMediaTypes.layerGzip, file);
  if (startsWith(zstdMagic)) return describe(`${dockerMediaTypes.layer}.zstd`, file);
  return describe(dockerMediaTypes.layer, file);
}
