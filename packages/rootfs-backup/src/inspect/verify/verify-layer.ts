import { createHash } from "node:crypto";
import { ByteReader } from "../../archive/byte-reader.ts";
import type { EncryptionKey } from "../../archive/encryption-key.ts";
import type { FrameIndex } from "../../archive/frame-index.ts";
import type { LayerBlob } from "../../archive/layer-file.ts";
import { splitLayerPath } from "../../archive/layer-path.ts";
import { opaqueMarker, parseLayerName } from "../../archive/names.ts";
import { readFrame } from "../../archive/read-content.ts";
import type { TarEntry } from "../../archive/tar-entry.ts";
import { TarReader } from "../../archive/tar-reader.ts";
import type { TocEntry } from "../../archive/toc-entry.ts";
import { errors } from "../../errors.ts";
import { readContents, readIndex, type ReadBlob } from "../read-blob.ts";

export interface VerifyOptions {
  /** To find the one that an encrypted layer needs. */
  readonly keys?: readonly EncryptionKey[] | undefined;
  readonly signal: AbortSignal;
  /** Told with the stored bytes that were checked since the last time. */
  readonly onBytes?: (count: number) => void;
}

/**
 * Reads a whole layer and compares everything that is recorded of it: digests and sizes of its blobs, the checksum
 * of every frame, the digest and size of the archive, the number of entries, and the table of contents with names,
 * types and contents. Throws `ARCHIVE_CORRUPT`, `BACKUP_DAMAGED`, or why it cannot be read.
 */
export async function verifyLayer(
  read: ReadBlob,
  layer: LayerBlob,
  { keys, signal, onBytes }: VerifyOptions,
): Promise<void> {
  const index = await readIndex(read, layer, keys);
  onBytes?.(layer.index.size);
  const frames = verifiedFrames(read, layer, index, { signal, ...(onBytes && { onBytes }) });
  const tar = new TarReader(new ByteReader(frames));
  await using contents = new Contents(readContents(read, layer, signal, keys));
  let entries = 0;
  for (let entry = await tar.next(); entry !== undefined; entry = await tar.next()) {
    entries += 1;
    await contents.compare(entry, tar);
  }
  await contents.end();
  onBytes?.(layer.toc.size);
  if (entries !== layer.entries)
    throw errors.ARCHIVE_CORRUPT(`layer ${layer.digest} holds ${entries} entries, expected ${layer.entries}`);
}

/** The archive frame by frame; the digests are compared at the end. */
async function* verifiedFrames(
  read: ReadBlob,
  layer: LayerBlob,
  index: FrameIndex,
  { signal, onBytes }: VerifyOptions,
): AsyncGenerator<Buffer, void> {
  const [stored, raw] = [createHash("sha256"), createHash("sha256")];
  const frame = (number: number) => {
    const reading = readFrame((offset, length) => read(layer, { offset, length }), index, number);
    // Handled where it is awaited; without this a failure before that would end the process.
    reading.catch(() => {});
    return reading;
  };
  let next = index.count > 0 ? frame(0) : undefined;
  for (let number = 0; next !== undefined; number += 1) {
    signal.throwIfAborted();
    const current = await next;
    next = number + 1 < index.count ? frame(number + 1) : undefined;
    stored.update(current.stored);
    raw.update(current.raw);
    yield current.raw;
    onBytes?.(current.stored.length);
  }
  const [digest, diffId] = [stored, raw].map((hash) => `sha256:${hash.digest("hex")}`);
  if (digest !== layer.digest || diffId !== layer.diffId)
    throw errors.ARCHIVE_CORRUPT(
      `layer reads as ${digest} with diff id ${diffId}, expected ${layer.digest} with ${layer.diffId}`,
    );
}

/** The table of contents beside the archive that it is of. */
class Contents implements AsyncDisposable {
  readonly #entries: AsyncIterator<TocEntry>;

  constructor(entries: AsyncIterable<TocEntry>) {
    this.#entries = entries[Symbol.asyncIterator]();
  }

  /** Reads the entry's data. */
  async compare(entry: TarEntry, tar: TarReader): Promise<void> {
    const meaning = meaningOf(entry);
    if (meaning === undefined) return;
    const listed = await this.#entries.next();
    const found = listed.done === true ? undefined : listed.value;
    const shown = JSON.stringify(meaning.path.subarray(0, 200).toString());
    if (found === undefined || !found.path.equals(meaning.path) || found.type !== meaning.type)
      throw errors.ARCHIVE_CORRUPT(`table of contents does not list ${shown} in its place`);
    if (entry.type !== "file" || meaning.type === "whiteout") return;
    const size = entry.sparseSize ?? entry.size;
    const sha256 = await digestOfData(tar);
    const isSame = entry.size === 0 ? found.data === undefined : found.data?.sha256 === sha256;
    if (found.size !== size || !isSame)
      throw errors.ARCHIVE_CORRUPT(`table of contents tells another content of ${shown}`);
  }

  async end(): Promise<void> {
    if ((await this.#entries.next()).done !== true)
      throw errors.ARCHIVE_CORRUPT("table of contents lists more than the layer holds");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#entries.return?.();
  }
}

const root = Buffer.from(".");

/** What the entry stands for; undefined for the mark of an opaque directory, which has no line of its own. */
function meaningOf(entry: TarEntry): Pick<TocEntry, "path" | "type"> | undefined {
  const names = splitLayerPath(entry.path).map(parseLayerName);
  const last = names.at(-1);
  if (last?.kind === "opaque") return undefined;
  const parts: Buffer[] = [];
  for (const name of names) parts.push(Buffer.from("/"), name.kind === "opaque" ? opaqueMarker : name.name);
  const path = parts.length === 0 ? root : Buffer.concat(parts.slice(1));
  return { path, type: last?.kind === "whiteout" ? "whiteout" : entry.type };
}

async function digestOfData(tar: TarReader): Promise<string> {
  const hash = createHash("sha256");
  for (let piece = await tar.data(dataPiece); piece.length > 0; piece = await tar.data(dataPiece))
    hash.update(piece);
  return hash.digest("hex");
}

const dataPiece = 1024 * 1024;
