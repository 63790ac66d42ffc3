import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable, Transform } from "node:stream";
import { buffer } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import * as v from "valibot";
import { errnoOf } from "@aeon/core";
import { digestParts, DigestStream } from "./digest.ts";
import { errors } from "./errors.ts";
import {
  parse,
  parseConfig,
  parseIndex,
  parseManifest,
  type Descriptor,
  type ImageConfig,
  type ImageIndex,
  type ImageManifest,
} from "./image.ts";
import { mediaTypes } from "./media-types.ts";

/** The annotation by which a layout's index names its images (image-spec annotations.md). */
export const refNameAnnotation = "org.opencontainers.image.ref.name";

const layoutSchema = v.looseObject({ imageLayoutVersion: v.pipe(v.string(), v.regex(/^1\./)) });
const layoutText = '{"imageLayoutVersion":"1.0.0"}';
/** Indexes, manifests and configs are read whole; none in use is larger. */
const maxDocument = 4 << 20;

/** A folder with content by digest and an index of images (image-spec image-layout.md). One writer at a time. */
export class ImageLayout {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** Makes an empty layout; the folder may exist. */
  static async create(folder: string): Promise<ImageLayout> {
    await mkdir(join(folder, "blobs", "sha256"), { recursive: true });
    await writeFile(join(folder, "oci-layout"), layoutText);
    const layout = new ImageLayout(folder);
    await layout.#writeIndex({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: [] });
    return layout;
  }

  /** Opens an existing layout. Throws `BLOB_MISSING` or `DOCUMENT_MALFORMED`. */
  static async open(folder: string): Promise<ImageLayout> {
    const marker = await readFile(join(folder, "oci-layout"), "utf8").catch((error: unknown) => {
      throw errors.BLOB_MISSING(`${folder} is not an OCI image layout`, { cause: error });
    });
    parse(`${folder}/oci-layout`, layoutSchema, marker);
    return new ImageLayout(folder);
  }

  /** The images of the layout. */
  async index(): Promise<ImageIndex> {
    return parseIndex(await readFile(join(this.folder, "index.json"), "utf8"));
  }

  /** Where content lies, whether it exists or not. */
  blobPath(descriptor: Pick<Descriptor, "digest">): string {
    const { algorithm, hex } = digestParts(descriptor.digest);
    return join(this.folder, "blobs", algorithm, hex);
  }

  /** Stores content under its digest; it is there whole or not at all. */
  async writeBlob(
    content: Uint8Array | string | Readable,
    mediaType: string,
    signal?: AbortSignal,
  ): Promise<Descriptor> {
    const temporary = await mkdtemp(join(this.folder, "incoming-"));
    try {
      const digest = new DigestStream();
      const file = join(temporary, "blob");
      const source = content instanceof Readable ? content : Readable.from([Buffer.from(content)]);
      await pipeline(source, digest, createWriteStream(file, { flush: true }), { ...(signal && { signal }) });
      if (digest.digest === undefined) throw new Error("digest of an ended stream is unknown");
      const descriptor = { mediaType, digest: digest.digest, size: digest.size };
      await rename(file, this.blobPath(descriptor));
      return descriptor;
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
  }

  /** Stores a document as JSON. */
  writeJson(value: unknown, mediaType: string): Promise<Descriptor> {
    return this.writeBlob(JSON.stringify(value), mediaType);
  }

  /**
   * Streams content and checks it on the way: the stream ends with `BLOB_CORRUPT` when digest or size differ, so
   * nothing read from it may be used before its end.
   */
  async readBlob(descriptor: Descriptor): Promise<Readable> {
    const path = this.blobPath(descriptor);
    const { size } = await stat(path).catch((error: unknown) => {
      if (errnoOf(error) !== "ENOENT") throw error;
      throw errors.BLOB_MISSING(`${this.folder} lacks ${descriptor.digest}`, {
        cause: error,
        details: { digest: descriptor.digest },
      });
    });
    if (size !== descriptor.size) throw corrupt(this.folder, descriptor);
    const digest = new DigestStream(digestParts(descriptor.digest).algorithm);
    const check = new Transform({
      transform: (chunk: Buffer, _encoding, done) => done(null, chunk),
      flush: (done) => done(digest.digest === descriptor.digest ? null : corrupt(this.folder, descriptor)),
    });
    const source = createReadStream(path);
    source.on("error", (error) => check.destroy(error));
    check.on("close", () => source.destroy());
    return source.pipe(digest).pipe(check);
  }

  /** A whole document, checked. Throws `BLOB_MISSING`, `BLOB_CORRUPT`, or `DOCUMENT_MALFORMED` above 4 MiB. */
  async readDocument(descriptor: Descriptor): Promise<Buffer> {
    if (descriptor.size > maxDocument)
      throw errors.DOCUMENT_MALFORMED(
        `${descriptor.digest} has ${descriptor.size} bytes, more than a document may`,
      );
    return buffer(await this.readBlob(descriptor));
  }

  /** Reads a manifest and its config. */
  async readImage(descriptor: Descriptor): Promise<{ manifest: ImageManifest; config: ImageConfig }> {
    const manifest = parseManifest(await this.readDocument(descriptor));
    return { manifest, config: parseConfig(await this.readDocument(manifest.config)) };
  }

  /** Names a manifest in the index; an image that had the name before loses it. */
  async tag(descriptor: Descriptor, name: string): Promise<void> {
    const index = await this.index();
    const others = index.manifests.filter(({ annotations }) => annotations?.[refNameAnnotation] !== name);
    const annotations = { ...descriptor.annotations, [refNameAnnotation]: name };
    await this.#writeIndex({ ...index, manifests: [...others, { ...descriptor, annotations }] });
  }

  async #writeIndex(index: ImageIndex): Promise<void> {
    const path = join(this.folder, "index.json");
    await writeFile(`${path}.new`, JSON.stringify(index), { flush: true });
    await rename(`${path}.new`, path);
  }
}

const corrupt = (folder: string, { digest }: Descriptor): Error =>
  errors.BLOB_CORRUPT(`${folder}: the content of ${digest} is damaged`, { details: { digest } });
