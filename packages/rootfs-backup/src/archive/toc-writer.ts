import type { SealedFrames } from "./frame-format.ts";
import { FrameWriter, type WrittenBlob } from "./frame-writer.ts";
import { encodeTocEntry, type TocEntry } from "./toc-entry.ts";

/** The first line of a table of contents; readers refuse other numbers. */
export const tocFormat = { format: 1 } as const;

/** Uncompressed bytes of a frame: little to unpack for a reader that stops early. */
const frameSize = 1024 * 1024;
/** Characters of lines that are collected before they are encoded. */
const batch = 65_536;

/** Writes a table of contents: JSON lines in zstd frames. Callers have to {@link drain} now and then. */
export class TocWriter implements AsyncDisposable {
  readonly #frames: FrameWriter;
  #lines = `${JSON.stringify(tocFormat)}\n`;

  constructor(fd: number, level: number, seal?: SealedFrames) {
    this.#frames = new FrameWriter(fd, { level, parallel: 2, frameSize, seal });
  }

  add(entry: TocEntry): void {
    this.#lines += `${encodeTocEntry(entry)}\n`;
    if (this.#lines.length > batch) this.#flush();
  }

  get isCongested(): boolean {
    return this.#frames.isCongested;
  }

  drain(): Promise<void> {
    return this.#frames.drain();
  }

  finish(): Promise<WrittenBlob> {
    this.#flush();
    return this.#frames.finish();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#frames[Symbol.asyncDispose]();
  }

  #flush(): void {
    this.#frames.write(Buffer.from(this.#lines));
    this.#lines = "";
  }
}
