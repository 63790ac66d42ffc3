import { once } from "node:events";
import { posix } from "node:path";
import type { Readable } from "node:stream";
import { Parser, type ReadEntry } from "tar";
import { isDigest, type Digest } from "@aeon/oci";
import type { ContentStore } from "../content/content-store.ts";
import { errors } from "../errors.ts";
import type { CallOptions } from "../grpc/service-types.ts";

/** A file of an archive, stored as a blob. */
export interface ArchivedBlob {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** The first bytes, enough to tell how it is compressed. */
  readonly head: Buffer;
}

/** What an image archive held; its files are in the content store. */
export interface Archive {
  /** `index.json` of an OCI layout. */
  readonly index?: Buffer;
  /** `manifest.json` of a Docker archive. */
  readonly dockerManifest?: Buffer;
  /** By path within the archive, links included. */
  readonly files: ReadonlyMap<string, ArchivedBlob>;
}

const documentBytes = 8 * 1024 * 1024;
const headBytes = 8;
const tables: ReadonlySet<string> = new Set(["index.json", "manifest.json"]);
const ignored: ReadonlySet<string> = new Set(["oci-layout", "repositories"]);

/**
 * Streams a tar (also a compressed one) into the content store: every file becomes a blob, the tables of contents
 * are returned. Throws `IMAGE_ARCHIVE_INVALID` when it is not a tar.
 */
export async function readArchive(
  store: ContentStore,
  tar: Readable,
  options: CallOptions,
): Promise<Archive> {
  const files = new Map<string, ArchivedBlob>();
  const links = new Map<string, string>();
  const documents = new Map<string, Buffer>();
  const prefix = `import-${crypto.randomUUID()}`;
  await eachEntry(tar, options.signal, async (entry) => {
    const path = cleanPath(entry.path);
    if (entry.type === "SymbolicLink")
      links.set(path, cleanPath(posix.join(posix.dirname(path), target(entry))));
    else if (entry.type === "Link") links.set(path, cleanPath(target(entry)));
    else if (entry.type === "File" || entry.type === "OldFile") {
      if (tables.has(path)) documents.set(path, await readWhole(entry));
      else if (!ignored.has(path))
        files.set(path, await storeBlob(store, entry, `${prefix}/${path}`, options));
    }
    entry.resume();
  });
  for (const [path, linked] of links) {
    const file = files.get(linked);
    if (file !== undefined) files.set(path, file);
  }
  const index = documents.get("index.json");
  const dockerManifest = documents.get("manifest.json");
  return { files, ...(index && { index }), ...(dockerManifest && { dockerManifest }) };
}

const target = (entry: ReadEntry): string => entry.linkpath ?? "";
const cleanPath = (path: string): string => posix.normalize(path).replace(/^(?:\.?\/)+/, "");

/** Runs the handler for one entry after the other; the parser waits for it. */
async function eachEntry(
  tar: Readable,
  signal: AbortSignal | undefined,
  handle: (entry: ReadEntry) => Promise<void>,
): Promise<void> {
  const parser = new Parser({ strict: true });
  const failed = new AbortController();
  const stop = signal ? AbortSignal.any([signal, failed.signal]) : failed.signal;
  let work: Promise<void> = Promise.resolve();
  parser.on("entry", (entry: ReadEntry) => {
    work = work.then(() => handle(entry));
    work.catch((error: unknown) => failed.abort(error));
  });
  parser.on("error", (cause: unknown) =>
    failed.abort(errors.IMAGE_ARCHIVE_INVALID("the archive is not a readable tar", { cause })),
  );
  const end = once(parser, "end", { signal: stop });
  end.catch(() => {});
  try {
    for await (const chunk of tar as AsyncIterable<Buffer>) {
      stop.throwIfAborted();
      if (!parser.write(chunk)) await once(parser, "drain", { signal: stop });
    }
    parser.end();
    await end;
    await work;
  } catch (error) {
    signal?.throwIfAborted();
    throw failed.signal.aborted ? failed.signal.reason : error;
  }
}

async function readWhole(entry: ReadEntry): Promise<Buffer> {
  if (entry.size > documentBytes)
    throw errors.DOCUMENT_TOO_LARGE(`${entry.path} in the archive has ${entry.size} bytes`);
  const chunks: Buffer[] = [];
  for await (const chunk of entry) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function storeBlob(
  store: ContentStore,
  entry: ReadEntry,
  ref: string,
  options: CallOptions,
): Promise<ArchivedBlob> {
  const expected = digestOfPath(cleanPath(entry.path));
  let head = Buffer.alloc(0);
  // containerd starts an ingest with what another namespace has of the same blob.
  async function* watched(offset: number): AsyncGenerator<Buffer, void, undefined> {
    let known = offset;
    for await (const chunk of entry) {
      if (head.length < headBytes) head = Buffer.concat([head, chunk.subarray(0, headBytes)]);
      const rest = chunk.subarray(known);
      known -= chunk.length - rest.length;
      if (rest.length > 0) yield rest;
    }
  }
  const digest = await store.ingest(
    { ref, size: entry.size, open: watched, ...(expected && { expected }) },
    options,
  );
  return { digest, size: entry.size, head };
}

/** An OCI layout names blobs by digest: `blobs/sha256/<hex>`. */
function digestOfPath(path: string): Digest | undefined {
  const [folder, algorithm, hex] = path.split("/");
  const digest = `${algorithm}:${hex}`;
  return folder === "blobs" && isDigest(digest) ? digest : undefined;
}
