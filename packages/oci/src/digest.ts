import { createHash, type Hash } from "node:crypto";
import { Transform } from "node:stream";
import type { Brand } from "@aeon/core";
import { errors } from "./errors.ts";

/** The address of content by its hash, such as `sha256:<64 hex digits>`; checked. */
export type Digest = Brand<string, "Digest">;

const patterns = { sha256: /^sha256:[0-9a-f]{64}$/, sha512: /^sha512:[0-9a-f]{128}$/ } as const;

/** True for a digest in canonical form. */
export const isDigest = (text: string): text is Digest =>
  Object.values(patterns).some((pattern) => pattern.test(text));

/** Checks a text from outside. Throws `DIGEST_MALFORMED`. */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw errors.DIGEST_MALFORMED(`${JSON.stringify(text.slice(0, 200))} is not a digest`);
}

/** Algorithm and hexadecimal hash of a digest: the two last parts of its path in an image layout. */
export function digestParts(digest: Digest): { algorithm: "sha256" | "sha512"; hex: string } {
  const split = digest.indexOf(":");
  return { algorithm: digest.startsWith("sha512") ? "sha512" : "sha256", hex: digest.slice(split + 1) };
}

/** The SHA-256 digest of bytes in memory. */
export const digestOf = (bytes: Uint8Array | string): Digest =>
  parseDigest(`sha256:${createHash("sha256").update(bytes).digest("hex")}`);

/** Passes bytes through and knows their digest and number once the stream has ended. */
export class DigestStream extends Transform {
  readonly #hash: Hash;
  readonly #algorithm: string;
  #size = 0;
  #digest: Digest | undefined;

  constructor(algorithm: "sha256" | "sha512" = "sha256") {
    super();
    this.#algorithm = algorithm;
    this.#hash = createHash(algorithm);
  }

  /** Bytes seen so far. */
  get size(): number {
    return this.#size;
  }

  /** Digest of everything that passed; undefined until the stream has ended. */
  get digest(): Digest | undefined {
    return this.#digest;
  }

  override _transform(
    chunk: Buffer,
    _encoding: BufferEncoding,
    done: (error: null, chunk: Buffer) => void,
  ): void {
    this.#hash.update(chunk);
    this.#size += chunk.length;
    done(null, chunk);
  }

  override _flush(done: () => void): void {
    this.#digest = parseDigest(`${this.#algorithm}:${this.#hash.digest("hex")}`);
    done();
  }
}
