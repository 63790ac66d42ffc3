import { XMLParser } from "fast-xml-parser";
import * as v from "valibot";
import { S3Failure } from "./s3-failure.ts";

/** Texts stay texts: keys, tokens and ids may look like numbers. */
const parser = new XMLParser({
  parseTagValue: false,
  processEntities: true,
  ignoreDeclaration: true,
  isArray: (name) => ["CommonPrefixes", "Contents", "Part", "Upload"].includes(name),
});

const tag = v.optional(v.string(), "");
const number = v.pipe(v.string(), v.transform(Number), v.integer(), v.minValue(0));
const flag = v.pipe(
  tag,
  v.transform((text) => text === "true"),
);
const time = v.pipe(
  v.string(),
  v.isoTimestamp(),
  v.transform((text) => new Date(text)),
);
const etag = v.pipe(
  v.string(),
  v.transform((text) => text.replace(/^"|"$/g, "")),
);
/** An answer without any element is an empty text to the parser. */
const element = <Entries extends v.ObjectEntries>(entries: Entries) =>
  v.pipe(
    v.unknown(),
    v.transform((value) => (value === "" ? {} : value)),
    v.object(entries),
  );

const listing = v.object({
  ListBucketResult: element({
    IsTruncated: flag,
    NextContinuationToken: tag,
    EncodingType: tag,
    Contents: v.optional(
      v.array(v.object({ Key: v.string(), LastModified: time, ETag: etag, Size: number })),
      [],
    ),
    CommonPrefixes: v.optional(v.array(v.object({ Prefix: v.string() })), []),
  }),
});
const initiated = v.object({
  InitiateMultipartUploadResult: v.object({ UploadId: v.pipe(v.string(), v.minLength(1)) }),
});
const completed = v.union([
  v.object({ CompleteMultipartUploadResult: v.unknown() }),
  v.object({ Error: v.object({ Code: v.string(), Message: tag }) }),
]);
const parts = v.object({
  ListPartsResult: element({
    IsTruncated: flag,
    NextPartNumberMarker: tag,
    Part: v.optional(v.array(v.object({ PartNumber: number, ETag: etag, Size: number })), []),
  }),
});
const uploads = v.object({
  ListMultipartUploadsResult: element({
    IsTruncated: flag,
    NextKeyMarker: tag,
    NextUploadIdMarker: tag,
    EncodingType: tag,
    Upload: v.optional(v.array(v.object({ Key: v.string(), UploadId: v.string(), Initiated: time })), []),
  }),
});

/** Answers of the store, of which only what is used here is checked; others are refused as damaged. */
export const parseListing = (body: Buffer) => parse(listing, body).ListBucketResult;
export const parseInitiated = (body: Buffer) => parse(initiated, body).InitiateMultipartUploadResult;
export const parseCompleted = (body: Buffer) => parse(completed, body);
export const parseParts = (body: Buffer) => parse(parts, body).ListPartsResult;
export const parseUploads = (body: Buffer) => parse(uploads, body).ListMultipartUploadsResult;

/** The body that completes an upload (CompleteMultipartUpload). */
export function completeBody(
  finished: readonly { readonly number: number; readonly etag: string }[],
): Buffer {
  const items = finished.map(
    ({ number: index, etag: text }) =>
      `<Part><PartNumber>${index}</PartNumber><ETag>${escape(text)}</ETag></Part>`,
  );
  return Buffer.from(
    `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${items.join("")}</CompleteMultipartUpload>`,
  );
}

const escape = (text: string): string =>
  text.replace(/[<>&"]/g, (character) => `&#${character.codePointAt(0) ?? 0};`);

function parse<Schema extends v.GenericSchema>(schema: Schema, body: Buffer): v.InferOutput<Schema> {
  let value: unknown;
  try {
    value = parser.parse(body);
  } catch {
    throw new S3Failure("transient", "the answer is no XML");
  }
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const where = v.getDotPath(result.issues[0]) ?? "the top";
  throw new S3Failure("transient", `the answer's XML is not of S3: ${where}`);
}
