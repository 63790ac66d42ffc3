import type { S3Encryption } from "./s3-options.ts";

/** Headers of every request that makes an object. */
export function encryptionHeaders(encryption: S3Encryption | undefined): Readonly<Record<string, string>> {
  if (encryption === undefined) return {};
  if (encryption.type === "sse-s3") return { "x-amz-server-side-encryption": "AES256" };
  return {
    "x-amz-server-side-encryption": "aws:kms",
    ...(encryption.keyId !== undefined && {
      "x-amz-server-side-encryption-aws-kms-key-id": encryption.keyId,
    }),
  };
}
