import { isThere, libcFunction } from "./libc.ts";

const create = libcFunction("uintptr_t ZSTD_createCCtx(void)");
const free = libcFunction("size_t ZSTD_freeCCtx(uintptr_t context)");
const setParameter = libcFunction(
  "size_t ZSTD_CCtx_setParameter(uintptr_t context, int parameter, int value)",
);
const compress = libcFunction(
  "size_t ZSTD_compress2(uintptr_t context, void *to, size_t room, void *from, size_t size)",
);
const bound = libcFunction("size_t ZSTD_compressBound(size_t size)");
const createReader = libcFunction("uintptr_t ZSTD_createDCtx(void)");
const freeReader = libcFunction("size_t ZSTD_freeDCtx(uintptr_t context)");
const decompress = libcFunction(
  "size_t ZSTD_decompressDCtx(uintptr_t context, void *to, size_t room, void *from, size_t size)",
);

/** zstd.h: stable numbers. */
const parameters = {
  level: 100,
  windowLog: 101,
  hashLog: 102,
  minMatch: 105,
  checksum: 201,
} as const;

/** What a level stands for is otherwise the library's choice (`ZSTD_cParameter`). */
export interface ZstdTuning {
  readonly windowLog: number;
  readonly hashLog: number;
  readonly minMatch: number;
}

/**
 * A compression context of the zstd library inside of Node. Unlike node:zlib it keeps its tables and lets the
 * caller keep the output, which saves a tenth of the time for frames of megabytes and all garbage.
 */
export class ZstdContext implements Disposable {
  readonly #context: number;

  private constructor(context: number) {
    this.#context = context;
  }

  /** Undefined when this Node does not export its zstd. Frames carry a checksum and their size. */
  static create(level: number, tuning?: ZstdTuning): ZstdContext | undefined {
    if (![create, free, setParameter, compress, bound].every(isThere)) return undefined;
    const context = create.sync("zstd");
    setParameter.sync("zstd", context, parameters.level, level);
    setParameter.sync("zstd", context, parameters.checksum, 1);
    if (tuning !== undefined)
      for (const name of ["windowLog", "hashLog", "minMatch"] as const)
        setParameter.sync("zstd", context, parameters[name], tuning[name]);
    return new ZstdContext(context);
  }

  /** Room that the output of so many bytes may take. */
  static bound(size: number): number {
    return bound.sync("zstd", size);
  }

  /**
   * Makes one frame on a thread of libuv's pool and gives its length. Both buffers and this context are in use
   * until then. `to` needs at least {@link ZstdContext.bound} bytes.
   */
  async compress(from: Buffer, to: Buffer): Promise<number> {
    const size = await compress.async("zstd", this.#context, to, to.length, from, from.length);
    if (size > to.length) throw new RangeError(`zstd cannot compress ${from.length} bytes into ${to.length}`);
    return size;
  }

  [Symbol.dispose](): void {
    free.sync("zstd", this.#context);
  }
}

/**
 * A decompression context of the zstd library inside of Node, for whole frames: unlike node:zlib it writes straight
 * into the caller's memory and needs no window of its own.
 */
export class ZstdReader implements Disposable {
  readonly #context: number;

  private constructor(context: number) {
    this.#context = context;
  }

  /** Undefined when this Node does not export its zstd. */
  static create(): ZstdReader | undefined {
    if (![createReader, freeReader, decompress].every(isThere)) return undefined;
    return new ZstdReader(createReader.sync("zstd"));
  }

  /**
   * Decompresses one frame on a thread of libuv's pool and gives how many bytes that were. Both buffers and this
   * context are in use until then. Rejects when the frame is damaged or has more than `to` has room for.
   */
  async decompress(from: Buffer, to: Buffer): Promise<number> {
    const size = await decompress.async("zstd", this.#context, to, to.length, from, from.length);
    // Errors are numbers below zero, seen as unsigned ones.
    if (size > to.length) throw new RangeError("zstd cannot decompress the frame");
    return size;
  }

  [Symbol.dispose](): void {
    freeReader.sync("zstd", this.#context);
  }
}
