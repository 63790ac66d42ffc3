import type { Readable } from "node:stream";
import { isAeonError, type Labels } from "@aeon/core";
import { isIndexType, parseIndex, parseManifest, refNameAnnotation, type Descriptor } from "@aeon/oci";
import type { Connection } from "../connection.ts";
import { ContentStore } from "../content/content-store.ts";
import { errors } from "../errors.ts";
import type { CallOptions } from "../grpc/service-types.ts";
import { readArchive, type Archive } from "./archive.ts";
import { dockerManifests } from "./docker-archive.ts";
import { Images, type Image } from "./image.ts";
import { fullImageName } from "./reference.ts";

export interface ImportOptions {
  /** Name of the image; needed when the archive has none, allowed only for an archive of one image. */
  readonly name?: string;
  readonly labels?: Labels;
  /** Unpack for this machine into this snapshotter. */
  readonly unpack?: string;
}

/** Annotation by which containerd's exports carry the full image name. */
const containerdName = "io.containerd.image.name";

interface NamedTarget {
  readonly name: string;
  readonly target: Descriptor;
}

/**
 * Reads an OCI layout or Docker archive (plain tar) into the content store and makes its image records. The
 * connection must carry a lease: nothing else protects the blobs until the records exist.
 */
export async function importImages(
  connection: Connection,
  tar: Readable,
  how: ImportOptions,
  options: CallOptions = {},
): Promise<readonly Image[]> {
  const store = new ContentStore(connection);
  const archive = await readArchive(store, tar, options);
  const targets = await targetsOf(store, archive, how, options);
  const images = new Images(connection);
  const made: Image[] = [];
  for (const { name, target } of targets) {
    await labelContent(store, target, options);
    made.push(await images.put({ name, target, ...(how.labels && { labels: how.labels }) }, options));
  }
  if (how.unpack !== undefined) for (const image of made) await image.unpack(how.unpack, options);
  return made;
}

async function targetsOf(
  store: ContentStore,
  archive: Archive,
  { name }: ImportOptions,
  options: CallOptions,
): Promise<readonly NamedTarget[]> {
  const found = await namedTargets(store, archive, options);
  const [only] = found;
  if (only === undefined) throw errors.IMAGE_ARCHIVE_INVALID("the archive holds no image");
  if (name !== undefined) {
    if (new Set(found.map(({ target }) => target.digest)).size > 1)
      throw errors.IMAGE_NAME_MISSING(
        `the archive holds ${found.length} images, one name does not fit them all`,
      );
    return [{ name, target: only.target }];
  }
  const named = found.flatMap(({ names, target }) => (names === undefined ? [] : [{ name: names, target }]));
  if (named.length === 0) throw errors.IMAGE_NAME_MISSING("the archive does not name its image");
  return named;
}

/** Some tools write only a tag where the name belongs. */
function nameOf(annotations: Labels | undefined): string | undefined {
  const name = annotations?.[containerdName] ?? annotations?.[refNameAnnotation];
  return name !== undefined && /[/:]/.test(name) ? name : undefined;
}

interface FoundTarget {
  readonly names: string | undefined;
  readonly target: Descriptor;
}

async function namedTargets(
  store: ContentStore,
  archive: Archive,
  options: CallOptions,
): Promise<readonly FoundTarget[]> {
  if (archive.index !== undefined)
    return parseIndex(archive.index).manifests.map((descriptor) => {
      const { annotations, ...target } = descriptor;
      return { names: nameOf(annotations), target };
    });
  if (archive.dockerManifest === undefined)
    throw errors.IMAGE_ARCHIVE_INVALID("the tar holds neither index.json nor manifest.json");
  const manifests = await dockerManifests(store, archive, options);
  return manifests.flatMap(({ tags, target }): readonly FoundTarget[] =>
    tags.length === 0
      ? [{ names: undefined, target }]
      : tags.map((tag) => ({ names: fullImageName(tag), target })),
  );
}

/** Labels an index, its manifests, and thereby everything they name, for containerd's garbage collector. */
async function labelContent(
  store: ContentStore,
  descriptor: Descriptor,
  options: CallOptions,
): Promise<void> {
  const document = await store.readDocument(descriptor, options).catch((error: unknown) => {
    if (isAeonError(error, "not-found"))
      throw errors.IMAGE_ARCHIVE_INVALID(`the archive lacks ${descriptor.digest}`, { cause: error });
    throw error;
  });
  if (!isIndexType(descriptor.mediaType)) {
    await store.setLabels(descriptor.digest, manifestLabels(document), options);
    return;
  }
  const present: Descriptor[] = [];
  for (const child of parseIndex(document).manifests)
    if (await store.has(child.digest, options)) present.push(child);
  for (const child of present) await labelContent(store, child, options);
  const labels = present.map(({ digest }, index) => [`containerd.io/gc.ref.content.m.${index}`, digest]);
  await store.setLabels(descriptor.digest, Object.fromEntries(labels), options);
}

function manifestLabels(document: Uint8Array): Labels {
  const { config, layers } = parseManifest(document);
  const entries = layers.map(({ digest }, index) => [`containerd.io/gc.ref.content.l.${index}`, digest]);
  return { "containerd.io/gc.ref.content.config": config.digest, ...Object.fromEntries(entries) };
}
