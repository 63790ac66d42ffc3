import { Client } from "minio";

/** What is needed to talk to an S3 service. */
export interface S3Access {
  readonly endpoint: string;
  readonly accessKey: string;
  readonly secretKey: string;
}

/** Makes an empty bucket. */
export async function makeBucket(
  { endpoint, accessKey, secretKey }: S3Access,
  bucket: string,
): Promise<void> {
  const { hostname, port } = new URL(endpoint);
  const client = new Client({
    endPoint: hostname,
    port: Number(port),
    useSSL: false,
    accessKey,
    secretKey,
    region: "us-east-1",
  });
  await client.makeBucket(bucket);
}
