import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { launchCephGateway, makeBucket, temporaryFolder, type CephGateway } from "@aeon/testkit";
import type { ObjectStore } from "../src/objects/object-store.ts";
import { s3Objects } from "../src/objects/s3/s3-objects.ts";
import type { S3Options } from "../src/objects/s3/s3-options.ts";

/** A bucket of a real service, and stores on it as several hosts would have them. */
export interface TestBucket extends AsyncDisposable {
  readonly gateway: CephGateway;
  readonly bucket: string;
  /** Folder for whatever a test needs. */
  readonly folder: string;
  options(changes?: Partial<S3Options>, writer?: string): S3Options;
  open(changes?: Partial<S3Options>, writer?: string): ObjectStore;
}

/** Short limits, so that failures do not take long; parts as small as S3 allows. */
const quick = {
  partSize: 5 << 20,
  concurrency: 4,
  timeouts: { connect: 2000, idle: 2000, total: 20_000 },
  retry: { retries: 8, minDelayMs: 20, maxDelayMs: 200 },
} as const;

/** Starts a service with an empty bucket. */
export async function launchBucket(): Promise<TestBucket> {
  const gateway = await launchCephGateway();
  const folder = await temporaryFolder("spool");
  const bucket = `test-${randomBytes(4).toString("hex")}`;
  const { accessKey, secretKey } = gateway;
  await makeBucket(gateway, bucket);
  const options = (changes: Partial<S3Options> = {}, writer = "one"): S3Options => ({
    ...quick,
    endpoint: gateway.endpoint,
    bucket,
    region: "us-east-1",
    prefix: "",
    credentials: { current: async () => ({ accessKey, secretKey }) },
    pathStyle: true,
    spool: join(folder.path, writer),
    ...changes,
  });
  return {
    gateway,
    bucket,
    folder: folder.path,
    options,
    open: (changes, writer) => s3Objects(options(changes, writer)),
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}
