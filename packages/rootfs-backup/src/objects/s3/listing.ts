import { S3Failure } from "./s3-failure.ts";
import type { S3Client } from "./s3-client.ts";
import type { ObjectHead } from "./small-objects.ts";
import { parseListing } from "./xml.ts";

/** An object as a listing shows it, with its whole key. */
export interface ListedObject extends ObjectHead {
  readonly key: string;
}

/** Few enough that an answer is parsed within milliseconds. */
const pageSize = 300;

interface Page {
  readonly objects: readonly ListedObject[];
  readonly prefixes: readonly string[];
  readonly next: string | undefined;
}

/** Every object whose key begins with the prefix, by rising key. */
export async function* listObjects(
  client: S3Client,
  prefix: string,
  signal: AbortSignal,
): AsyncGenerator<ListedObject, void> {
  for await (const { objects } of pages(client, prefix, "", signal)) yield* objects;
}

/** What follows the prefix in keys up to their next slash, each once. */
export async function* listPrefixes(
  client: S3Client,
  prefix: string,
  signal: AbortSignal,
): AsyncGenerator<string, void> {
  for await (const { prefixes } of pages(client, prefix, "/", signal))
    for (const found of prefixes) yield found.slice(prefix.length, -1);
}

async function* pages(
  client: S3Client,
  prefix: string,
  delimiter: string,
  signal: AbortSignal,
): AsyncGenerator<Page, void> {
  let token: string | undefined;
  do {
    const page = await listPage(client, prefix, delimiter, token, signal);
    yield page;
    token = page.next;
  } while (token !== undefined);
}

/** One page of a listing (ListObjectsV2). */
export function listPage(
  client: S3Client,
  prefix: string,
  delimiter: string,
  token: string | undefined,
  signal: AbortSignal,
): Promise<Page> {
  const query = queryOf({
    "list-type": "2",
    "encoding-type": "url",
    "max-keys": String(pageSize),
    prefix,
    delimiter,
    "continuation-token": token,
  });
  return client.send(
    `cannot list ${prefix}`,
    { method: "GET", key: "", query, expect: [200] },
    signal,
    ({ body }) => {
      const { Contents, CommonPrefixes, EncodingType, IsTruncated, NextContinuationToken } =
        parseListing(body);
      const decode = (text: string): string => (EncodingType === "url" ? decodeKey(text) : text);
      if (IsTruncated && (NextContinuationToken === "" || NextContinuationToken === token))
        throw new S3Failure("refused", "the store does not say where its listing goes on");
      return {
        objects: Contents.map(({ Key, LastModified, ETag, Size }) => ({
          key: decode(Key),
          size: Size,
          modifiedAt: LastModified,
          version: ETag,
        })),
        prefixes: CommonPrefixes.map(({ Prefix }) => decode(Prefix)),
        next: IsTruncated ? NextContinuationToken : undefined,
      };
    },
  );
}

/** Keys in listings are encoded as in forms, so that XML can carry any. */
export const decodeKey = (text: string): string => decodeURIComponent(text.replaceAll("+", " "));

/** The query of a request; undefined and empty values are left out. */
export function queryOf(values: Readonly<Record<string, string | undefined>>): string {
  return Object.entries(values)
    .filter((entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== "")
    .map(([name, value]) => `${name}=${encode(value)}`)
    .join("&");
}

/** As signatures demand: everything but unreserved characters (RFC 3986). */
const encode = (text: string): string =>
  encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.codePointAt(0)?.toString(16).toUpperCase() ?? ""}`,
  );
