import { afterAll, beforeAll } from "vitest";
import { objectStoreContract } from "./object-store-contract.ts";
import { launchBucket, type TestBucket } from "./s3.ts";

let bucket: TestBucket;
beforeAll(async () => {
  bucket = await launchBucket();
});
afterAll(() => bucket[Symbol.asyncDispose]());

objectStoreContract({
  name: "s3",
  open: async (writer) => bucket.open({}, writer),
  largeSize: 23 << 20,
});

objectStoreContract({
  name: "s3 over TLS, below a prefix",
  open: async (writer) =>
    bucket.open(
      { endpoint: bucket.gateway.tlsEndpoint, ca: bucket.gateway.ca, prefix: "back/ups" },
      `tls-${writer}`,
    ),
  largeSize: 23 << 20,
});
