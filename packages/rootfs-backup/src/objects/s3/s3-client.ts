import type { IncomingMessage } from "node:http";
import { createHash } from "node:crypto";
import { Client } from "minio";
import { errnoOf } from "@aeon/core";
import pRetry from "p-retry";
import type { Pace } from "../object-store.ts";
import { pacedStream } from "../paced.ts";
import { failureOf, S3Failure, storeError } from "./s3-failure.ts";
import type { S3Credentials, S3Options } from "./s3-options.ts";
import { Transport } from "./transport.ts";

/** What a request carries; always in memory, so that it can be sent again. */
export interface Payload {
  readonly bytes: Buffer;
  /** Hex. The store checks it, also over TLS, so that bytes damaged on any stretch of the way are refused. */
  readonly sha256: string;
}

export interface S3Request {
  readonly method: "DELETE" | "GET" | "HEAD" | "POST" | "PUT";
  /** Whole key, prefix included. */
  readonly key: string;
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly payload?: Payload;
  /** How fast the payload may go. */
  readonly pace?: Pace;
  /** Statuses that are answers; others are failures. */
  readonly expect: readonly number[];
}

/** An answer whose body was read whole. */
export interface S3Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
  /** True when an earlier attempt may have reached the store although its answer did not come back. */
  readonly repeated: boolean;
}

const emptyPayload: Payload = { bytes: Buffer.alloc(0), sha256: createHash("sha256").digest("hex") };

export const payloadOf = (bytes: Buffer): Payload => ({
  bytes,
  sha256: createHash("sha256").update(bytes).digest("hex"),
});

/** The minio client, as its subclasses see it. */
export class SignedClient extends Client {
  constructor({ endpoint, region, pathStyle }: S3Options, transport: Transport) {
    const { hostname, port, protocol } = new URL(endpoint);
    super({
      endPoint: hostname.replace(/^\[|\]$/g, ""),
      ...(port !== "" && { port: Number(port) }),
      useSSL: protocol === "https:",
      accessKey: "-",
      secretKey: "-",
      region,
      pathStyle,
      transport,
      retryOptions: { disableRetry: true },
    });
    // Also over TLS the store shall check what it was sent.
    this.enableSHA256 = true;
  }

  sign({ accessKey, secretKey, sessionToken }: S3Credentials): void {
    this.accessKey = accessKey;
    this.secretKey = secretKey;
    if (sessionToken === undefined) delete this.sessionToken;
    else this.sessionToken = sessionToken;
  }
}

/** Requests to one bucket: signed, limited in time, tried again, with errors that say what they mean. */
export class S3Client implements Disposable {
  readonly options: S3Options;
  readonly location: string;
  readonly #transport: Transport;
  readonly #client: SignedClient;

  constructor(options: S3Options) {
    this.options = options;
    this.location = `s3://${options.bucket}${options.prefix === "" ? "" : `/${options.prefix}`}`;
    const secure = options.endpoint.startsWith("https:");
    this.#transport = new Transport(secure, options.timeouts, options.ca);
    this.#client = new SignedClient(options, this.#transport);
  }

  get bucket(): string {
    return this.options.bucket;
  }

  /** Runs `work` until it succeeds or will not; `what` completes the error, such as `cannot list x`. */
  async call<T>(
    what: string,
    signal: AbortSignal,
    work: (client: SignedClient, attempt: number) => Promise<T>,
  ): Promise<T> {
    const { retries, minDelayMs, maxDelayMs } = this.options.retry;
    try {
      return await pRetry((attempt) => this.#attempt(signal, (client) => work(client, attempt)), {
        retries,
        minTimeout: minDelayMs,
        maxTimeout: maxDelayMs,
        randomize: true,
        signal,
        shouldRetry: ({ error }) => error instanceof S3Failure && error.kind === "transient",
      });
    } catch (error) {
      signal.throwIfAborted();
      throw error instanceof S3Failure ? storeError(error, what, this.location) : error;
    }
  }

  /** One request with its whole answer; what `read` makes of it, or throws as {@link S3Failure}, is part of the attempt. */
  send<T>(what: string, request: S3Request, signal: AbortSignal, read: (answer: S3Answer) => T): Promise<T> {
    return this.call(what, signal, async (client, attempt) => {
      const response = await this.open(client, request, signal);
      const body = await collect(response);
      const { statusCode: status = 0, headers } = response;
      return read({ status, headers, body, repeated: attempt > 1 });
    });
  }

  /** One attempt of a request; the answer's body is the caller's to read. */
  open(client: SignedClient, request: S3Request, signal: AbortSignal): Promise<IncomingMessage> {
    const { method, key, query, headers, payload = emptyPayload, pace, expect } = request;
    const { bytes, sha256 } = payload;
    const sends = method === "PUT" || method === "POST";
    return client.makeRequestStreamAsync(
      {
        method,
        bucketName: this.bucket,
        ...(key !== "" && { objectName: key }),
        ...(query !== undefined && { query }),
        headers: { ...headers, ...(sends && { "content-length": bytes.length }) },
      },
      pace === undefined ? bytes : pacedStream(bytes, pace, signal),
      sha256,
      [...expect],
      this.options.region,
    );
  }

  async #attempt<T>(signal: AbortSignal, work: (client: SignedClient) => Promise<T>): Promise<T> {
    const { credentials } = this.options;
    const used = await credentials.current();
    this.#client.sign(used);
    try {
      return await this.#transport.run(signal, () => work(this.#client));
    } catch (error) {
      signal.throwIfAborted();
      if (isLocal(error)) throw error;
      const failure = failureOf(error);
      if (failure.kind !== "denied") throw failure;
      const renewed = await credentials.current(true);
      if (renewed.accessKey === used.accessKey && renewed.secretKey === used.secretKey) throw failure;
      throw new S3Failure("transient", failure.message, failure.code);
    }
  }

  [Symbol.dispose](): void {
    this.#transport[Symbol.dispose]();
  }
}

/** Failures of this host's disk, which are not the store's. */
const localErrnos: ReadonlySet<string> = new Set(["EDQUOT", "EIO", "EMFILE", "ENOENT", "ENOSPC", "EROFS"]);
const isLocal = (error: unknown): boolean => localErrnos.has(errnoOf(error) ?? "");

async function collect(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return Buffer.concat(chunks);
}
