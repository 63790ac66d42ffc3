import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { content } from "@aeon/proto";
import { isAeonError, type Labels } from "@aeon/core";
import { digestParts, parseDigest, type Descriptor, type Digest } from "@aeon/oci";
import type { Connection } from "../connection.ts";
import { errors } from "../errors.ts";
import type { CallOptions, GrpcClient } from "../grpc/service-types.ts";
import { labelMask, nanosOf, required } from "../values.ts";
import { ContentWriter, type WriterOptions } from "./content-writer.ts";

export interface ContentInfo {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  readonly labels: Labels;
  /** Nanoseconds since the epoch. */
  readonly createdAt: bigint;
  readonly updatedAt: bigint;
}

/** An ingest: a blob that is not complete. */
export interface IngestStatus {
  readonly ref: string;
  /** Bytes received. */
  readonly offset: number;
  /** Bytes expected; 0 when unknown. */
  readonly total: number;
  readonly expected?: Digest;
  /** Nanoseconds since the epoch. */
  readonly startedAt: bigint;
  readonly updatedAt: bigint;
}

export interface ReadRange {
  /** First byte; 0 when absent. */
  readonly offset?: number;
  /** Bytes; to the end when absent. */
  readonly size?: number;
}

export interface IngestRequest extends WriterOptions {
  readonly labels?: Labels;
  /** Opens the source so that it starts at `offset` bytes. */
  readonly open: (offset: number) => AsyncIterable<Uint8Array>;
}

/** Largest document read whole: index, manifest, config. */
const documentBytes = 8 * 1024 * 1024;

/** containerd's content-addressed blobs. */
export class ContentStore {
  readonly #connection: Connection;
  readonly #api: GrpcClient<typeof content.Content>;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#api = connection.service(content.Content);
  }

  async info(digest: Digest, options?: CallOptions): Promise<ContentInfo> {
    return infoOf((await this.#api.info({ digest }, options)).info);
  }

  /** Whether the store holds the blob; archives and pulls may bring only some platforms of an index. */
  async has(digest: Digest, options?: CallOptions): Promise<boolean> {
    try {
      await this.info(digest, options);
      return true;
    } catch (error) {
      if (isAeonError(error, "not-found")) return false;
      throw error;
    }
  }

  async *list(
    filters: readonly string[] = [],
    options?: CallOptions,
  ): AsyncGenerator<ContentInfo, void, undefined> {
    for await (const reply of this.#api.list({ filters: [...filters] }, options))
      for (const info of reply.info) yield infoOf(info);
  }

  /** Streams a blob or a part of it, unverified. */
  async *read(
    digest: Digest,
    range: ReadRange = {},
    options?: CallOptions,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const request = { digest, offset: BigInt(range.offset ?? 0), size: BigInt(range.size ?? 0) };
    for await (const reply of this.#api.read(request, options)) yield reply.data;
  }

  /** Reads an index, manifest or config whole and verifies it. Throws `CONTENT_DAMAGED` or `DOCUMENT_TOO_LARGE`. */
  async readDocument(descriptor: Descriptor, options?: CallOptions): Promise<Buffer> {
    const { digest, size } = descriptor;
    if (size > documentBytes)
      throw errors.DOCUMENT_TOO_LARGE(`document ${digest} has ${size} bytes, the limit is ${documentBytes}`);
    const chunks: Uint8Array[] = [];
    if (size > 0) for await (const chunk of this.read(digest, { size }, options)) chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    const { algorithm, hex } = digestParts(digest);
    if (bytes.length !== size || createHash(algorithm).update(bytes).digest("hex") !== hex)
      throw errors.CONTENT_DAMAGED(`blob ${digest} does not match its digest or size`, {
        details: { digest },
      });
    return bytes;
  }

  /** Opens or resumes an ingest. */
  writer(writer: WriterOptions, options?: CallOptions): Promise<ContentWriter> {
    return ContentWriter.open(this.#connection, writer, options);
  }

  /**
   * Stores a blob, going on where an earlier attempt with the same ref stopped, and waiting while somebody else
   * writes it. A blob that is there already is not read again.
   */
  async ingest(request: IngestRequest, options: CallOptions = {}): Promise<Digest> {
    const { labels = {}, open, ...writerOptions } = request;
    let { expected } = request;
    try {
      await using writer = await this.#unlocked(writerOptions, options);
      for await (const data of open(writer.offset)) await writer.write(data);
      expected ??= writer.digest;
      return await writer.commit({ labels });
    } catch (error) {
      if (expected === undefined || !isAeonError(error, "already-exists")) throw error;
      if (Object.keys(labels).length > 0) await this.setLabels(expected, labels, options);
      return expected;
    }
  }

  /** Sets the given labels and leaves others; an empty value deletes one. */
  async setLabels(digest: Digest, labels: Labels, options?: CallOptions): Promise<ContentInfo> {
    const reply = await this.#api.update(
      { info: { digest, labels }, updateMask: labelMask(labels) },
      options,
    );
    return infoOf(reply.info);
  }

  async delete(digest: Digest, options?: CallOptions): Promise<void> {
    await this.#api.delete({ digest }, options);
  }

  async status(ref: string, options?: CallOptions): Promise<IngestStatus> {
    return statusOf((await this.#api.status({ ref }, options)).status);
  }

  async statuses(filters: readonly string[] = [], options?: CallOptions): Promise<readonly IngestStatus[]> {
    return (await this.#api.listStatuses({ filters: [...filters] }, options)).statuses.map(statusOf);
  }

  /** Throws an ingest away. */
  async abort(ref: string, options?: CallOptions): Promise<void> {
    await this.#api.abort({ ref }, options);
  }

  /** Opens a writer, asking again while another one holds the ref: containerd announces no release. */
  async #unlocked(writer: WriterOptions, options: CallOptions): Promise<ContentWriter> {
    for (let pause = 20; ; pause = Math.min(pause * 2, 1000)) {
      try {
        return await this.writer(writer, options);
      } catch (error) {
        if (!isAeonError(error, "unavailable") || !error.message.includes("locked")) throw error;
        await sleep(pause, undefined, options.signal && { signal: options.signal });
      }
    }
  }
}

function infoOf(info: content.Info | undefined): ContentInfo {
  const { digest, size, labels, createdAt, updatedAt } = required(info, "content");
  return {
    digest: parseDigest(digest),
    size: Number(size),
    labels,
    createdAt: nanosOf(createdAt),
    updatedAt: nanosOf(updatedAt),
  };
}

function statusOf(status: content.Status | undefined): IngestStatus {
  const { ref, offset, total, expected, startedAt, updatedAt } = required(status, "ingest");
  return {
    ref,
    offset: Number(offset),
    total: Number(total),
    ...(expected !== "" && { expected: parseDigest(expected) }),
    startedAt: nanosOf(startedAt),
    updatedAt: nanosOf(updatedAt),
  };
}
