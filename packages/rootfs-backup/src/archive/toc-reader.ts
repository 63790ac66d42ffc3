import { closeSync, constants, openSync } from "node:fs";
import * as v from "valibot";
import { errors } from "../errors.ts";
import type { BlobDescriptor } from "./blob-descriptor.ts";
import { plainFrames, type FrameFormat } from "./frame-format.ts";
import { readStoredFrames, verifyFile } from "./frame-reader.ts";
import { decodeTocEntry, type TocEntry } from "./toc-entry.ts";
import { tocFormat } from "./toc-writer.ts";

/** Longer than any line: paths of 1 MiB and their targets, twice as text. */
const longestLine = 16 * 1024 * 1024;

/**
 * The entries of a table of contents in a local file, in the archive's order. The file is compared with its
 * descriptor before the first entry is given. Throws `ARCHIVE_CORRUPT`, `ARCHIVE_UNSUPPORTED`.
 */
export async function* readToc(
  file: string,
  toc: BlobDescriptor,
  format: FrameFormat = plainFrames,
): AsyncGenerator<TocEntry, void> {
  const fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    await verifyFile(fd, toc);
    const lines = linesOf(readStoredFrames(fd, toc, format));
    const first = await lines.next();
    checkFormat(first.done === true ? "" : first.value);
    for await (const line of lines) yield decodeTocEntry(line);
  } finally {
    closeSync(fd);
  }
}

async function* linesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<string, void> {
  let rest = Buffer.alloc(0);
  for await (const chunk of chunks) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let start = 0;
    for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a, start)) {
      yield bytes.toString("utf8", start, end);
      start = end + 1;
    }
    rest = Buffer.from(bytes.subarray(start));
    if (rest.length > longestLine) throw errors.ARCHIVE_CORRUPT("table of contents holds a line without end");
  }
  if (rest.length > 0) throw errors.ARCHIVE_CORRUPT("table of contents ends inside a line");
}

const formatSchema = v.object({ format: v.number() });

function checkFormat(line: string): void {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw errors.ARCHIVE_CORRUPT("table of contents has no first line", { cause: error });
  }
  const found = v.safeParse(formatSchema, value);
  if (!found.success) throw errors.ARCHIVE_CORRUPT("table of contents does not tell its format");
  if (found.output.format !== tocFormat.format)
    throw errors.ARCHIVE_UNSUPPORTED(
      `table of contents has format ${found.output.format}, not ${tocFormat.format}`,
    );
}
