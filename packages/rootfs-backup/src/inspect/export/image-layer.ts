import { createHash } from "node:crypto";
import type { Descriptor, Digest, ImageConfig } from "@aeon/oci";
import { errors } from "../../errors.ts";

/** A blob of an image that is written: what it is, and how to stream it. */
export interface ImageBlob {
  readonly descriptor: Descriptor;
  /** Streams the blob; may be damaged, whoever reads it compares size and digest. */
  readonly open: (signal: AbortSignal) => AsyncIterable<Uint8Array>;
}

/** One layer of an image. */
export interface ImageLayer extends ImageBlob {
  /** Digest of the uncompressed layer. */
  readonly diffId: Digest;
}

/** An image that layers are put upon. */
export interface BaseImage {
  /** For people: which image, and from where. */
  readonly name: string;
  readonly config: ImageConfig;
  /** The lowest first. */
  readonly layers: readonly ImageLayer[];
}

/** Passes a blob on; throws `EXPORT_BLOB_DAMAGED` at its end unless size and digest were right. */
export async function* verified(
  { descriptor, open }: ImageBlob,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void> {
  const { digest, size } = descriptor;
  const hash = createHash(digest.slice(0, digest.indexOf(":")));
  let passed = 0;
  for await (const chunk of open(signal)) {
    signal.throwIfAborted();
    hash.update(chunk);
    passed += chunk.length;
    if (passed > size) break;
    yield chunk;
  }
  const found = `${digest.slice(0, digest.indexOf(":"))}:${hash.digest("hex")}`;
  if (passed !== size || found !== digest)
    throw errors.EXPORT_BLOB_DAMAGED(
      `layer ${digest} of ${size} bytes reads as ${found} of ${passed}${passed > size ? " or more" : ""} bytes`,
      { details: { digest, size } },
    );
}
