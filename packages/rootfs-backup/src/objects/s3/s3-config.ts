import { absolutePath, byteSize, duration } from "@aeon/core";
import * as v from "valibot";

const mebibyte = 2 ** 20;

const described = <Schema extends v.GenericSchema>(schema: Schema, text: string) =>
  v.pipe(schema, v.description(text));

const bytesBetween = (least: number, most: number, example: string) =>
  v.pipe(
    byteSize(),
    v.check((bytes) => bytes >= least && bytes <= most, `Expected ${example}`),
  );

/** Protocol, host and port only: what follows would silently be left out. */
const endpoint = v.pipe(
  v.string(),
  v.check(
    (text) => URL.canParse(text) && /^https?:\/\/[^/?#@]+\/?$/.test(text),
    'Expected an address without path, such as "https://s3.example.com:9000"',
  ),
);
const bucket = v.pipe(
  v.string(),
  v.regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, "Expected the name of a bucket, 3 to 63 characters"),
);
const prefix = v.pipe(
  v.string(),
  v.regex(/^(?:[A-Za-z0-9._-]+(?:\/[A-Za-z0-9._-]+)*)?$/, 'Expected a prefix such as "backups/prod"'),
);

/** The table `[backup.store]` of type `s3`. */
export const s3Config = v.strictObject({
  type: v.literal("s3"),
  endpoint: described(endpoint, "address of the S3 service, without a path"),
  bucket: described(bucket, "bucket of the backups; it has to exist"),
  region: v.optional(
    described(v.pipe(v.string(), v.minLength(1)), "region that requests are signed for"),
    "us-east-1",
  ),
  prefix: v.optional(described(prefix, "in front of all keys in the bucket"), ""),
  "credentials-file": v.optional(
    described(
      absolutePath(),
      "JSON file, AWS credentials file or folder of a mounted Secret; AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the environment if absent; read again when it changes",
    ),
  ),
  profile: v.optional(described(v.string(), "section of an AWS credentials file"), "default"),
  "path-style": v.optional(
    described(v.boolean(), "bucket in the path of addresses; false for its own host name, such as AWS wants"),
    true,
  ),
  "ca-file": v.optional(described(absolutePath(), "certificates (PEM) to trust instead of the system's")),
  encryption: v.optional(
    described(
      v.picklist(["none", "sse-s3", "sse-kms"]),
      "what the service is told to encrypt with: nothing, its own key, or a key of its key management",
    ),
    "none",
  ),
  "kms-key-id": v.optional(described(v.string(), "key of sse-kms; the service's default key if absent")),
  "part-size": v.optional(
    described(
      bytesBetween(5 * mebibyte, 1024 * mebibyte, "5MiB to 1GiB"),
      "larger files are sent in parts of this size; memory is concurrency times this at most",
    ),
    "16MiB",
  ),
  concurrency: v.optional(
    described(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(64)), "parts in flight, 1 to 64"),
    4,
  ),
  "connect-timeout": v.optional(described(duration(), "until a connection stands"), "10s"),
  "idle-timeout": v.optional(described(duration(), "without a byte in either direction"), "60s"),
  "request-timeout": v.optional(
    described(duration(), "for one request, which carries at most one part"),
    "10m",
  ),
});

export type S3Config = v.InferOutput<typeof s3Config>;
