import { randomBytes } from "node:crypto";
import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import { partsOf } from "../src/objects/s3/file-parts.ts";
import { queryOf } from "../src/objects/s3/listing.ts";
import { payloadOf, S3Client } from "../src/objects/s3/s3-client.ts";
import { s3Objects } from "../src/objects/s3/s3-objects.ts";
import type { S3Options } from "../src/objects/s3/s3-options.ts";
import { versionOf } from "../src/objects/s3/small-objects.ts";
import { completeBody, parseInitiated } from "../src/objects/s3/xml.ts";
import pLimit from "p-limit";

/** Bytes per second of both ways, and what the store takes more than the raw one, such as 0.04. */
export interface S3Throughput {
  readonly store: number;
  readonly raw: number;
  readonly overhead: number;
}

/**
 * Uploads `size` bytes from a file as backups are, and the same from memory with nothing but the requests that an
 * upload in parts needs, `rounds` times each in turn; the best of each counts.
 */
export async function measureUpload(options: S3Options, size: number, rounds = 3): Promise<S3Throughput> {
  const { signal } = new AbortController();
  const part = randomBytes(options.partSize);
  const best = { store: 0, raw: 0 };
  await using store = s3Objects(options);
  using client = new S3Client(options);
  await store.ready(signal);
  for (let round = 0; round < rounds; round += 1) {
    const file = join(await store.spool(signal), "throughput");
    await writeParts(file, part, size);
    best.store = Math.max(
      best.store,
      await rate(size, () => store.upload(`throughput/${round}`, file, { size, signal })),
    );
    await store.remove(`throughput/${round}`, signal);
    best.raw = Math.max(
      best.raw,
      await rate(size, () => uploadRaw(client, `raw/${round}`, part, size, signal)),
    );
    await store.remove(`raw/${round}`, signal);
    await rm(file, { force: true });
  }
  return { ...best, overhead: best.raw / best.store - 1 };
}

async function rate(bytes: number, work: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await work();
  return (bytes / (performance.now() - started)) * 1000;
}

async function writeParts(path: string, part: Buffer, size: number): Promise<void> {
  await using file = await open(path, "w");
  for (const { length } of partsOf(size, part.length)) await file.writeFile(part.subarray(0, length));
  await file.sync();
}

async function uploadRaw(
  client: S3Client,
  key: string,
  part: Buffer,
  size: number,
  signal: AbortSignal,
): Promise<void> {
  const begin = { method: "POST", key, query: "uploads", expect: [200] } as const;
  const uploadId = await client.send("begin", begin, signal, ({ body }) => parseInitiated(body).UploadId);
  const limit = pLimit(client.options.concurrency);
  const finished = await Promise.all(
    partsOf(size, part.length).map(({ number, length }) =>
      limit(() => {
        const payload = payloadOf(part.subarray(0, length));
        const query = queryOf({ partNumber: String(number), uploadId });
        return client.send(
          "part",
          { method: "PUT", key, query, payload, expect: [200] },
          signal,
          (answer) => ({
            number,
            etag: versionOf(answer.headers),
          }),
        );
      }),
    ),
  );
  const payload = payloadOf(completeBody(finished));
  const end = { method: "POST", key, query: queryOf({ uploadId }), payload, expect: [200] } as const;
  await client.send("complete", end, signal, () => undefined);
}
