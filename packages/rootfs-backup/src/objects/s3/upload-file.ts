import { open, type FileHandle } from "node:fs/promises";
import { isAeonError } from "@aeon/core";
import pLimit, { type LimitFunction } from "p-limit";
import { errors } from "../../errors.ts";
import type { Pace } from "../object-store.ts";
import { PartMemory, partsOf, partSizeFor, readPart, type FilePart } from "./file-parts.ts";
import { queryOf } from "./listing.ts";
import { payloadOf, type S3Client } from "./s3-client.ts";
import { answerFailure, storeError } from "./s3-failure.ts";
import { assertStored, headObject, putPayload, versionOf } from "./small-objects.ts";
import { encryptionHeaders } from "./encryption-headers.ts";
import type { UploadRecord, UploadRecords } from "./upload-records.ts";
import { completeBody, parseCompleted, parseInitiated, parseParts } from "./xml.ts";

export interface FileUpload {
  readonly client: S3Client;
  /** Bounds what is in memory, over all uploads. */
  readonly slots: LimitFunction;
  readonly records: UploadRecords;
  /** Whole key of content that never changes. */
  readonly key: string;
  readonly file: string;
  readonly size: number;
  readonly signal: AbortSignal;
  /** Told how many bytes the store has. */
  readonly onProgress?: (bytes: number) => void;
  readonly pace?: Pace;
}

interface FinishedPart {
  readonly number: number;
  readonly etag: string;
}

/** Codes of an unfinished upload that is gone or cannot be completed: only a new one helps. */
const lostCodes = ["NoSuchUpload", "NoSuchKey", "InvalidPart", "InvalidPartOrder", "EntityTooSmall"];

/**
 * Stores a file under a key that stands for its content. What the store has already is not sent again: neither the
 * object, nor parts of an upload that an earlier process began.
 */
export async function uploadFile(options: FileUpload): Promise<void> {
  const { client, key, size, signal, onProgress } = options;
  const stored = await headObject(client, key, signal);
  if (stored?.size !== size) {
    await using file = await openWhole(options);
    await (size <= client.options.partSize ? uploadWhole(file, options) : uploadParts(file, options));
    await assertStored(client, key, size, signal);
  }
  onProgress?.(size);
}

async function openWhole({ key, file: path, size }: FileUpload): Promise<FileHandle> {
  const file = await open(path, "r");
  const { size: present } = await file.stat();
  if (present === size) return file;
  await file.close();
  throw errors.BACKUP_DAMAGED(`${path} has ${present} bytes, not ${size}`, { details: { key, size } });
}

async function uploadWhole(
  file: FileHandle,
  { client, slots, key, size, signal, pace }: FileUpload,
): Promise<void> {
  await slots(async () => {
    const payload = await readPart(file, { offset: 0, length: size }, Buffer.allocUnsafeSlow(size));
    await putPayload(client, key, payload, signal, pace);
  });
}

async function uploadParts(file: FileHandle, options: FileUpload): Promise<void> {
  const { records, key, size } = options;
  const earlier = await records.find(key, size);
  if (earlier === undefined) await sendNew(file, options);
  else
    try {
      await goOn(file, options, earlier, await presentParts(options, earlier));
    } catch (error) {
      const code = isAeonError(error) ? error.details["code"] : undefined;
      if (!lostCodes.some((lost) => lost === code)) throw error;
      await sendNew(file, options);
    }
  await records.remove(key);
}

const sendNew = async (file: FileHandle, options: FileUpload): Promise<void> =>
  goOn(file, options, await begin(options), noParts);

async function begin({ client, records, key, size, signal }: FileUpload): Promise<UploadRecord> {
  const uploadId = await client.send(
    `cannot begin to store ${key}`,
    {
      method: "POST",
      key,
      query: "uploads",
      headers: {
        "content-type": "application/octet-stream",
        ...encryptionHeaders(client.options.encryption),
      },
      expect: [200],
    },
    signal,
    ({ body }) => parseInitiated(body).UploadId,
  );
  const record = { key, uploadId, size, partSize: partSizeFor(size, client.options.partSize) };
  await records.put(record);
  return record;
}

/** Parts that the store has, by their number. */
type PresentParts = ReadonlyMap<number, { readonly etag: string; readonly size: number }>;
const noParts: PresentParts = new Map();

async function goOn(
  file: FileHandle,
  options: FileUpload,
  record: UploadRecord,
  present: PresentParts,
): Promise<void> {
  const finished = new Map<number, FinishedPart>();
  let bytes = 0;
  const finish = (part: FilePart, etag: string): void => {
    finished.set(part.number, { number: part.number, etag });
    options.onProgress?.((bytes += part.length));
  };
  const parts = partsOf(record.size, record.partSize);
  for (const part of parts) {
    const found = present.get(part.number);
    if (found?.size === part.length) finish(part, found.etag);
  }
  const missing = parts.filter(({ number }) => !finished.has(number));
  await sendAll(file, options, record, missing, finish);
  await complete(
    options,
    record,
    parts.flatMap(({ number }) => finished.get(number) ?? []),
  );
}

async function presentParts(
  { client, key, signal }: FileUpload,
  { uploadId }: UploadRecord,
): Promise<PresentParts> {
  const found = new Map<number, { etag: string; size: number }>();
  let marker: string | undefined = "";
  while (marker !== undefined) {
    const query = queryOf({ uploadId, "part-number-marker": marker });
    const page = await client.send(
      `cannot go on storing ${key}`,
      { method: "GET", key, query, expect: [200] },
      signal,
      ({ body }) => parseParts(body),
    );
    for (const { PartNumber, ETag, Size } of page.Part) found.set(PartNumber, { etag: ETag, size: Size });
    const next = page.NextPartNumberMarker;
    marker = page.IsTruncated && next !== "" && next !== marker ? next : undefined;
  }
  return found;
}

/** Sends parts side by side; the first failure ends the others. */
async function sendAll(
  file: FileHandle,
  { client, slots, key, signal, pace }: FileUpload,
  { uploadId }: UploadRecord,
  parts: readonly FilePart[],
  finish: (part: FilePart, etag: string) => void,
): Promise<void> {
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const memories = new PartMemory();
  // One after the other, so that the first is on its way while the next is read and hashed.
  const prepare = pLimit(1);
  const send = async (part: FilePart): Promise<void> => {
    either.throwIfAborted();
    const query = queryOf({ partNumber: String(part.number), uploadId });
    const memory = memories.take(part.length);
    const payload = await prepare(() => readPart(file, part, memory));
    const etag = await client.send(
      `cannot store part ${part.number} of ${key}`,
      { method: "PUT", key, query, payload, expect: [200], ...(pace !== undefined && { pace }) },
      either,
      ({ headers }) => versionOf(headers),
    );
    // Of a part that failed, the connection may still hold it.
    memories.give(memory);
    finish(part, etag);
  };
  const sent = parts.map((part) =>
    slots(send, part).catch((error: unknown) => {
      stop.abort(error);
      throw error;
    }),
  );
  // All have to end before the file is closed.
  await Promise.allSettled(sent);
  await Promise.all(sent);
}

async function complete(
  { client, key, signal }: FileUpload,
  { uploadId, size }: UploadRecord,
  parts: readonly FinishedPart[],
): Promise<void> {
  const bytes = completeBody(parts);
  const failure = await client.send(
    `cannot complete ${key}`,
    { method: "POST", key, query: queryOf({ uploadId }), payload: payloadOf(bytes), expect: [200, 404] },
    signal,
    // Failures after the first byte of the answer come with status 200.
    ({ body }) => {
      const answer = parseCompleted(body);
      if (!("Error" in answer)) return undefined;
      const error = answerFailure(answer.Error.Code, answer.Error.Message);
      if (error.code !== "NoSuchUpload") throw error;
      return error;
    },
  );
  if (failure === undefined) return;
  // An earlier attempt may have completed it, of which the answer was lost.
  const found = await headObject(client, key, signal);
  if (found?.size !== size) throw storeError(failure, `cannot complete ${key}`, client.location);
}
