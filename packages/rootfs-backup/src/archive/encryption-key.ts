import { createCipheriv, createDecipheriv, hash, hkdfSync, randomBytes } from "node:crypto";
import { errors } from "../errors.ts";

/** A key that wraps the keys of layers. The secret is 32 bytes in base64, so that it can be told to a worker process. */
export interface EncryptionKey {
  /** Tells keys apart without telling anything of them. */
  readonly id: string;
  readonly secret: string;
}

/** How a layer is encrypted: its own random key, wrapped. */
export interface LayerCipher {
  readonly algorithm: "AES-256-GCM";
  readonly keyId: string;
  /** Base64 of nonce, encrypted key and tag. */
  readonly wrappedKey: string;
}

/** The blobs of a layer, each of which is encrypted with a key of its own. */
export type LayerPart = "layer" | "index" | "toc";

const keySize = 32;
const nonceSize = 12;
const tagSize = 16;

/**
 * The keys in a key file: 32 raw bytes, or lines of base64 and of comments after `#`. The first encrypts, the others are for
 * what was encrypted before. Throws `ENCRYPTION_KEY_INVALID`, without showing any of it.
 */
export function parseKeyFile(bytes: Buffer, name: string): readonly [EncryptionKey, ...EncryptionKey[]] {
  if (bytes.length === keySize) return [keyOf(bytes)];
  const keys = bytes
    .toString("latin1")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const secret = Buffer.from(line, "base64");
      if (secret.length === keySize && secret.toString("base64") === line) return keyOf(secret);
      throw errors.ENCRYPTION_KEY_INVALID(`${name} holds a line that is not the base64 of ${keySize} bytes`);
    });
  const [first, ...others] = keys;
  if (first === undefined) throw errors.ENCRYPTION_KEY_INVALID(`${name} holds no key`);
  return [first, ...others];
}

const keyOf = (secret: Buffer): EncryptionKey => ({
  id: hash("sha256", Buffer.concat([Buffer.from("aeon key id\0"), secret])).slice(0, 16),
  secret: secret.toString("base64"),
});

const wrapContext = (keyId: string): Buffer => Buffer.from(`aeon layer key 1\0${keyId}`);

/** A new key for one layer, and its wrapped form. */
export function newLayerKey({ id, secret }: EncryptionKey): {
  readonly key: Buffer;
  readonly cipher: LayerCipher;
} {
  const [key, nonce] = [randomBytes(keySize), randomBytes(nonceSize)];
  const wrap = createCipheriv("aes-256-gcm", Buffer.from(secret, "base64"), nonce);
  wrap.setAAD(wrapContext(id));
  const wrapped = Buffer.concat([nonce, wrap.update(key), wrap.final(), wrap.getAuthTag()]);
  return { key, cipher: { algorithm: "AES-256-GCM", keyId: id, wrappedKey: wrapped.toString("base64") } };
}

/** The layer's own key. Throws `ENCRYPTION_KEY_MISSING`, or `ARCHIVE_CORRUPT` when the wrapped key was changed. */
export function unwrapLayerKey(cipher: LayerCipher, keys: readonly EncryptionKey[]): Buffer {
  const key = keys.find(({ id }) => id === cipher.keyId);
  if (key === undefined)
    throw errors.ENCRYPTION_KEY_MISSING(`the layer is encrypted with key ${cipher.keyId}, which is not here`);
  const wrapped = Buffer.from(cipher.wrappedKey, "base64");
  try {
    const unwrap = createDecipheriv(
      "aes-256-gcm",
      Buffer.from(key.secret, "base64"),
      wrapped.subarray(0, nonceSize),
      { authTagLength: tagSize },
    );
    unwrap.setAAD(wrapContext(key.id)).setAuthTag(wrapped.subarray(-tagSize));
    const found = Buffer.concat([unwrap.update(wrapped.subarray(nonceSize, -tagSize)), unwrap.final()]);
    if (found.length === keySize) return found;
  } catch (error) {
    throw errors.ARCHIVE_CORRUPT("the wrapped key of the layer was changed", { cause: error });
  }
  throw errors.ARCHIVE_CORRUPT("the wrapped key of the layer has a wrong length");
}

/** The key of one blob of the layer, so that frames of one cannot stand in another. */
export const partKey = (layerKey: Buffer, part: LayerPart): Buffer =>
  Buffer.from(hkdfSync("sha256", layerKey, Buffer.alloc(0), `aeon layer part 1\0${part}`, keySize));
