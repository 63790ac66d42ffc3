import { FrameWriter, type WrittenBlob } from "./frame-writer.ts";
import { encodeTocEntry, type TocEntry } from "./toc-entry.ts";

/** The first line of a table of contents; readers refuse other numbers. */
export const tocFormat = { format: 1 } as const;

/** Uncompressed bytes of a frame: little to unpack for a reader that stops early. */
const frameSize = 1024 * 1024;

/** Writes a table of contents: JSON lines in zstd frames. */
export class TocWriter {
  readonly #frames: FrameWriter;
  #lines = `${JSON.stringify(tocFormat)}\n`;

  constructor(fd: number, level: number) {
    this.#frames = new FrameWriter(fd, { level, parallel: 1, frameSize });
  }

  async add(entry: TocEntry): Promise<void> {
    this.#lines += `${encodeTocEntry(entry)}\n`;
    if (this.#lines.length > 65_536) await this.#flush();
  }

  async finish(): Promise<WrittenBlob> {
    await this.#flush();
    return this.#frames.finish();
  }

  async #flush(): Promise<void> {
    const bytes = Buffer.from(this.#lines);
    this.#lines = "";
    await this.#frames.write(bytes);
  }
}
