import { encryptionHeaders } from "./encryption-headers.ts";
import { errors } from "../../errors.ts";
import type { Pace } from "../object-store.ts";
import { payloadOf, type Payload, type S3Answer, type S3Client, type S3Request } from "./s3-client.ts";
import { S3Failure } from "./s3-failure.ts";

/** What the store says of an object. */
export interface ObjectHead {
  readonly size: number;
  readonly modifiedAt: Date;
  readonly version: string;
}

const digestHeader = "x-amz-meta-aeon-sha256";

/** Undefined when there is no such object. */
export const headObject = (
  client: S3Client,
  key: string,
  signal: AbortSignal,
): Promise<ObjectHead | undefined> => head(client, key, signal, headOf);

/** What `read` makes of the head of an object, which may not be there (404). */
export const head = <T>(
  client: S3Client,
  key: string,
  signal: AbortSignal,
  read: (answer: S3Answer) => T,
): Promise<T> =>
  client.send(`cannot look up ${key}`, { method: "HEAD", key, expect: [200, 404] }, signal, read);

export function headOf({ status, headers }: S3Answer): ObjectHead | undefined {
  if (status === 404) return undefined;
  const size = Number(headers["content-length"] ?? Number.NaN);
  const modifiedAt = new Date(headers["last-modified"] ?? Number.NaN);
  const version = versionOf(headers);
  if (!Number.isSafeInteger(size) || Number.isNaN(modifiedAt.getTime()) || version === "")
    throw new S3Failure("transient", "the answer lacks size, time or tag of the object");
  return { size, modifiedAt, version };
}

export const versionOf = (headers: S3Answer["headers"]): string => (headers.etag ?? "").replace(/^"|"$/g, "");

/** Reads a whole object, or a range of it; undefined when there is none. */
export async function readObject(
  client: S3Client,
  key: string,
  range: ByteRange | undefined,
  signal: AbortSignal,
): Promise<{ bytes: Buffer; version: string } | undefined> {
  const request: S3Request = {
    method: "GET",
    key,
    headers: range === undefined ? {} : rangeHeader(range),
    expect: range === undefined ? [200, 404] : [200, 206, 404, 416],
  };
  const read = await client.send(`cannot read ${key}`, request, signal, ({ status, headers, body }) => {
    if (status === 404) return absent(body);
    // The range begins at or after the end.
    if (status === 416) return "beyond";
    const digest = headers[digestHeader];
    if (range === undefined && digest !== undefined && payloadOf(body).sha256 !== digest)
      throw new S3Failure("transient", "the content is not what was stored");
    if (range !== undefined && (status !== 206 || body.length > range.length))
      throw new S3Failure("refused", "the store ignores the range that was asked for");
    return { bytes: body, version: versionOf(headers) };
  });
  if (read !== "beyond") return read;
  const found = await headObject(client, key, signal);
  return found && { bytes: Buffer.alloc(0), version: found.version };
}

/** A missing bucket is not a missing object. */
function absent(body: Buffer): undefined {
  if (body.includes("NoSuchBucket"))
    throw new S3Failure("refused", "there is no such bucket", "NoSuchBucket");
}

export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

export const rangeHeader = ({ offset, length }: ByteRange): Readonly<Record<string, string>> => ({
  range: `bytes=${offset}-${offset + length - 1}`,
});

/** Puts an object in one request. */
export async function putPayload(
  client: S3Client,
  key: string,
  payload: Payload,
  signal: AbortSignal,
  pace?: Pace,
): Promise<void> {
  await putWith(client, key, payload, {}, signal, pace);
}

/** Puts an object in one request; the answer is 200, or with a condition also 412 or 404. */
export function putWith(
  client: S3Client,
  key: string,
  payload: Payload,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
  pace?: Pace,
): Promise<S3Answer> {
  const conditional = "if-match" in headers || "if-none-match" in headers;
  return client.send(
    `cannot write ${key}`,
    {
      method: "PUT",
      key,
      payload,
      ...(pace !== undefined && { pace }),
      headers: {
        "content-type": "application/octet-stream",
        [digestHeader]: payload.sha256,
        ...encryptionHeaders(client.options.encryption),
        ...headers,
      },
      // A condition on an object that is not there is answered 404 by some stores, 412 by others.
      expect: conditional ? [200, 412, ...("if-match" in headers ? [404] : [])] : [200],
    },
    signal,
    (answer) => answer,
  );
}

/** Removes an object; one that is not there is fine. */
export async function removeObject(client: S3Client, key: string, signal: AbortSignal): Promise<void> {
  await client.send(
    `cannot remove ${key}`,
    { method: "DELETE", key, expect: [200, 204, 404] },
    signal,
    () => undefined,
  );
}

/** Throws `BACKUP_DAMAGED` unless the store holds an object of this size under the key. */
export async function assertStored(
  client: S3Client,
  key: string,
  size: number,
  signal: AbortSignal,
): Promise<void> {
  const found = await headObject(client, key, signal);
  if (found?.size !== size)
    throw errors.BACKUP_DAMAGED(
      `${client.location} holds ${found === undefined ? "no object" : `${found.size} bytes`} under ${key}, not the ${size} bytes that were sent`,
      { details: { key, size } },
    );
}
