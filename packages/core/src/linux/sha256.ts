import { createHash, type Hash } from "node:crypto";
import { isThere, libcFunction } from "./libc.ts";

const newContext = libcFunction("uintptr_t EVP_MD_CTX_new(void)");
const freeContext = libcFunction("void EVP_MD_CTX_free(uintptr_t context)");
const sha256 = libcFunction("uintptr_t EVP_sha256(void)");
const init = libcFunction("int EVP_DigestInit_ex(uintptr_t context, uintptr_t type, void *engine)");
const update = libcFunction("int EVP_DigestUpdate(uintptr_t context, void *bytes, size_t size)");
const final = libcFunction("int EVP_DigestFinal_ex(uintptr_t context, void *digest, void *size)");

/**
 * SHA-256 of a long stream, computed on a thread of libuv's pool by the OpenSSL inside of Node, while the caller
 * goes on. On the calling thread where Node does not export it.
 */
export class BackgroundSha256 {
  readonly #context: number | undefined;
  readonly #fallback: Hash | undefined;
  #last: Promise<void> = Promise.resolve();

  constructor() {
    if (![newContext, freeContext, sha256, init, update, final].every(isThere)) {
      this.#fallback = createHash("sha256");
      return;
    }
    this.#context = newContext.sync("sha256");
    init.sync("sha256", this.#context, sha256.sync("sha256"), null);
  }

  /** Adds bytes, which must not change until this resolves. */
  update(bytes: Buffer): Promise<void> {
    this.#last = this.#update(this.#last, bytes);
    // Handled by whoever awaits the digest; without this a failure before that would end the process.
    this.#last.catch(() => {});
    return this.#last;
  }

  /** Hexadecimal; nothing can be added any more. */
  async digest(): Promise<string> {
    await this.#last;
    if (this.#context === undefined) return this.#fallback?.digest("hex") ?? "";
    const digest = Buffer.alloc(32);
    check(final.sync("sha256", this.#context, digest, null));
    freeContext.sync("sha256", this.#context);
    return digest.toString("hex");
  }

  async #update(before: Promise<void>, bytes: Buffer): Promise<void> {
    await before;
    if (this.#context === undefined) this.#fallback?.update(bytes);
    else check(await update.async("sha256", this.#context, bytes, bytes.length));
  }
}

function check(result: number): void {
  if (result !== 1) throw new Error("OpenSSL cannot compute a SHA-256 digest");
}
