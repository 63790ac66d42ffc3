import { decodeKey, queryOf } from "./listing.ts";
import type { S3Client } from "./s3-client.ts";
import { parseUploads } from "./xml.ts";

interface Marker {
  readonly key: string;
  readonly id: string;
}

/** An upload in parts that has not ended. */
export interface OpenUpload {
  readonly key: string;
  readonly id: string;
}

/** Uploads in parts below the prefix that began before the time; those that were listed may be ended meanwhile. */
export async function* uploadsBefore(
  client: S3Client,
  prefix: string,
  before: Date,
  signal: AbortSignal,
): AsyncGenerator<OpenUpload, void> {
  let marker: Marker | undefined = { key: "", id: "" };
  while (marker !== undefined) {
    const query = queryOf({
      "encoding-type": "url",
      "key-marker": marker.key,
      "max-uploads": "300",
      prefix,
      "upload-id-marker": marker.id,
    });
    const page = await client.send(
      `cannot list unfinished uploads below ${prefix}`,
      { method: "GET", key: "", query: `uploads&${query}`, expect: [200] },
      signal,
      ({ body }) => parseUploads(body),
    );
    for (const { Key, UploadId, Initiated } of page.Upload)
      if (Initiated < before) yield { key: page.EncodingType === "url" ? decodeKey(Key) : Key, id: UploadId };
    marker = nextMarker(page, marker);
  }
}

/** Ends uploads in parts below the prefix that began before the time; answers how many. */
export async function sweepUploads(
  client: S3Client,
  prefix: string,
  before: Date,
  signal: AbortSignal,
): Promise<number> {
  let ended = 0;
  for await (const { key, id } of uploadsBefore(client, prefix, before, signal)) {
    await abortUpload(client, key, id, signal);
    ended += 1;
  }
  return ended;
}

/** Undefined at the end of the listing, and where a store would give the same page for ever. */
function nextMarker(page: ReturnType<typeof parseUploads>, last: Marker): Marker | undefined {
  const { IsTruncated, NextKeyMarker: key, NextUploadIdMarker: id } = page;
  return IsTruncated && (key !== last.key || id !== last.id) ? { key, id } : undefined;
}

const abortUpload = (client: S3Client, key: string, uploadId: string, signal: AbortSignal): Promise<void> =>
  client.send(
    `cannot end an upload of ${key}`,
    { method: "DELETE", key, query: queryOf({ uploadId }), expect: [200, 204, 404] },
    signal,
    () => undefined,
  );
