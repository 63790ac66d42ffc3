import { open, type FileHandle } from "node:fs/promises";
import type { LimitFunction } from "p-limit";
import { errors } from "../../errors.ts";
import { partsOf, type FilePart } from "./file-parts.ts";
import type { S3Client } from "./s3-client.ts";
import { S3Failure } from "./s3-failure.ts";
import { headObject, rangeHeader } from "./small-objects.ts";

export interface DownloadOptions {
  readonly client: S3Client;
  readonly slots: LimitFunction;
  readonly key: string;
  /** Bytes that the object must have. */
  readonly size: number;
  /** New file to write; left behind on failure. */
  readonly file: string;
  readonly signal: AbortSignal;
  /** Told how many bytes are on this host. */
  readonly onProgress?: (bytes: number) => void;
}

/**
 * Fetches an object into a new file, ranges side by side, all of one version. The content is not compared with
 * anything. Rejects with `BACKUP_DAMAGED` when the object is absent, of another size, or replaced meanwhile.
 */
export async function downloadFile(options: DownloadOptions): Promise<void> {
  const { client, slots, key, size, signal, onProgress } = options;
  const found = await headObject(client, key, signal);
  if (found?.size !== size) throw wrong(options, found === undefined ? "absent" : `of ${found.size} bytes`);
  await using file = await open(options.file, "wx", 0o600);
  await file.truncate(size);
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  let bytes = 0;
  const fetchPart = async (part: FilePart): Promise<void> => {
    either.throwIfAborted();
    await fetchRange(file, options, found.version, part, either);
    onProgress?.((bytes += part.length));
  };
  const fetched = partsOf(size, client.options.partSize).map((part) =>
    slots(fetchPart, part).catch((error: unknown) => {
      stop.abort(error);
      throw error;
    }),
  );
  // All have to end before the file is closed.
  await Promise.allSettled(fetched);
  await Promise.all(fetched);
}

function fetchRange(
  file: FileHandle,
  options: DownloadOptions,
  version: string,
  range: FilePart,
  signal: AbortSignal,
): Promise<void> {
  const { client, key } = options;
  return client.call(`cannot fetch ${key}`, signal, async (signed) => {
    const request = {
      method: "GET",
      key,
      headers: { ...rangeHeader(range), "if-match": `"${version}"` },
      expect: [200, 206, 412],
    } as const;
    const response = await client.open(signed, request, signal);
    if (response.statusCode === 412) {
      response.resume();
      throw wrong(options, "replaced while it was fetched");
    }
    if (response.statusCode !== 206 && range.length !== options.size) {
      response.destroy();
      throw new S3Failure("refused", "the store ignores the range that was asked for");
    }
    let done = 0;
    for await (const chunk of response) {
      const { length }: Buffer = chunk;
      if (done + length > range.length)
        throw new S3Failure("transient", "the answer is longer than the range");
      for (let part = 0; part < length;)
        part += (await file.write(chunk, part, length - part, range.offset + done + part)).bytesWritten;
      done += length;
    }
    if (done !== range.length)
      throw new S3Failure("transient", `the answer has ${done} bytes, not ${range.length}`);
  });
}

const wrong = ({ client, key, size }: DownloadOptions, how: string) =>
  errors.BACKUP_DAMAGED(`${key} in ${client.location} is ${how}; ${size} bytes were expected`, {
    details: { key, size },
  });
