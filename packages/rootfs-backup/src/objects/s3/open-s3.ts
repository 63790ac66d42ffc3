import { readFile } from "node:fs/promises";
import { errorMessage, type Logger } from "@aeon/core";
import { errors } from "../../errors.ts";
import type { ObjectStore } from "../object-store.ts";
import { storeCredentials } from "./credentials.ts";
import type { S3Config } from "./s3-config.ts";
import { s3Objects } from "./s3-objects.ts";
import type { S3Encryption, S3Retry } from "./s3-options.ts";

export interface OpenS3Options {
  readonly config: S3Config;
  /** Folder on this host for files on their way to and from the store, this writer's alone. */
  readonly spool: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly log: Logger;
}

/** About a minute in all; whoever asked tries again later, ever more seldom. */
const retry: S3Retry = { retries: 6, minDelayMs: 250, maxDelayMs: 20_000 };

/** The store of a configuration; sends nothing yet. Rejects with `STORE_UNUSABLE` when its certificates cannot be read. */
export async function openS3({ config, spool, environment, log }: OpenS3Options): Promise<ObjectStore> {
  const path = config["credentials-file"];
  const caFile = config["ca-file"];
  const encryption = encryptionOf(config);
  return s3Objects({
    endpoint: config.endpoint,
    bucket: config.bucket,
    region: config.region,
    prefix: config.prefix,
    credentials: storeCredentials({
      ...(path !== undefined && { path }),
      profile: config.profile,
      environment,
      log,
    }),
    pathStyle: config["path-style"],
    ...(caFile !== undefined && { ca: await readCertificates(caFile) }),
    ...(encryption && { encryption }),
    partSize: config["part-size"],
    concurrency: config.concurrency,
    timeouts: {
      connect: config["connect-timeout"],
      idle: config["idle-timeout"],
      total: config["request-timeout"],
    },
    retry,
    spool,
  });
}

function encryptionOf({ encryption, "kms-key-id": keyId }: S3Config): S3Encryption | undefined {
  if (encryption === "none") return undefined;
  if (encryption === "sse-s3") return { type: "sse-s3" };
  return { type: "sse-kms", ...(keyId !== undefined && { keyId }) };
}

async function readCertificates(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw errors.STORE_UNUSABLE(`cannot read the certificates in ${path}: ${errorMessage(error)}`, {
      cause: error,
      details: { path },
    });
  }
}
