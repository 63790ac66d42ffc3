import { createCipheriv, createDecipheriv } from "node:crypto";
import { errors } from "../errors.ts";
import {
  partKey,
  unwrapLayerKey,
  type EncryptionKey,
  type LayerCipher,
  type LayerPart,
} from "./encryption-key.ts";
import { largestRaw, largestStored, zstdFrame, type ZstdFrame } from "./zstd-frame.ts";

/** Where a frame belongs; an encrypted one can be read nowhere else. */
export interface FramePlace {
  readonly number: number;
  /** Of its first byte in the archive. */
  readonly rawOffset: number;
  readonly rawSize: number;
  readonly last: boolean;
}

/** How frames are stored. */
export interface FrameFormat {
  /** The extent of the frame at the start, or undefined when it is not whole yet. Throws `ARCHIVE_CORRUPT`. */
  measure(bytes: Buffer): ZstdFrame | undefined;
  /** What is inside of a stored frame. Throws `ARCHIVE_CORRUPT` unless it belongs there. */
  open(stored: Buffer, place: FramePlace): Buffer;
}

/** Frames that follow each other as they are. */
export const plainFrames: FrameFormat = { measure: zstdFrame, open: (stored) => stored };

/** The formats of a layer's blobs. */
export type LayerFormats = Readonly<Record<LayerPart, FrameFormat>>;

/**
 * How the blobs of a layer are stored. Throws `ENCRYPTION_KEY_MISSING`, or `ARCHIVE_CORRUPT` when the wrapped key was
 * changed.
 */
export function layerFormats(
  cipher: LayerCipher | undefined,
  keys: readonly EncryptionKey[] = [],
): LayerFormats {
  if (cipher === undefined) return { layer: plainFrames, index: plainFrames, toc: plainFrames };
  const key = unwrapLayerKey(cipher, keys);
  const format = (part: LayerPart) => new SealedFrames(partKey(key, part));
  return { layer: format("layer"), index: format("index"), toc: format("toc") };
}

/** Length of what follows and uncompressed size, each 32 bits, little endian. */
const headerSize = 8;
const tagSize = 16;

/**
 * Frames encrypted with AES-256-GCM: a header, the encrypted frame, the tag. The key is of this blob alone and the nonce is
 * the frame's number, so none is used twice; place, size and whether more follows are authenticated, so that frames cannot
 * be changed, exchanged, repeated or cut off.
 */
export class SealedFrames implements FrameFormat {
  readonly #key: Buffer;

  constructor(key: Buffer) {
    this.#key = key;
  }

  seal(frame: Buffer, place: FramePlace): Buffer {
    const cipher = createCipheriv("aes-256-gcm", this.#key, nonceOf(place)).setAAD(contextOf(place));
    const header = Buffer.alloc(headerSize);
    header.writeUInt32LE(frame.length + tagSize, 0);
    header.writeUInt32LE(place.rawSize, 4);
    return Buffer.concat([header, cipher.update(frame), cipher.final(), cipher.getAuthTag()]);
  }

  measure(bytes: Buffer): ZstdFrame | undefined {
    if (bytes.length < headerSize) return undefined;
    const [following, rawLength] = [bytes.readUInt32LE(0), bytes.readUInt32LE(4)];
    if (following <= tagSize || following > largestStored || rawLength > largestRaw)
      throw errors.ARCHIVE_CORRUPT("archive holds a malformed encrypted frame");
    const length = headerSize + following;
    return bytes.length < length ? undefined : { length, rawLength };
  }

  open(stored: Buffer, place: FramePlace): Buffer {
    try {
      const decipher = createDecipheriv("aes-256-gcm", this.#key, nonceOf(place), { authTagLength: tagSize });
      decipher.setAAD(contextOf(place)).setAuthTag(stored.subarray(-tagSize));
      return Buffer.concat([decipher.update(stored.subarray(headerSize, -tagSize)), decipher.final()]);
    } catch (error) {
      throw errors.ARCHIVE_CORRUPT(`encrypted frame ${place.number} was changed or does not belong there`, {
        cause: error,
      });
    }
  }
}

function nonceOf({ number }: FramePlace): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeBigUInt64LE(BigInt(number));
  return nonce;
}

const context = Buffer.from("aeon frame 1\0");

function contextOf({ number, rawOffset, rawSize, last }: FramePlace): Buffer {
  const facts = Buffer.alloc(21);
  facts.writeBigUInt64LE(BigInt(number), 0);
  facts.writeBigUInt64LE(BigInt(rawOffset), 8);
  facts.writeUInt32LE(rawSize, 16);
  facts.writeUInt8(last ? 1 : 0, 20);
  return Buffer.concat([context, facts]);
}
