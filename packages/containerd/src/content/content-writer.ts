import type { MessageInitShape } from "@bufbuild/protobuf";
import { content } from "@aeon/proto";
import type { Labels } from "@aeon/core";
import { parseDigest, type Digest } from "@aeon/oci";
import type { Connection } from "../connection.ts";
import { Duplex } from "../grpc/duplex.ts";
import type { CallOptions } from "../grpc/service-types.ts";
import { required } from "../values.ts";

export interface WriterOptions {
  /** Names the ingest; a later writer with the same ref goes on where this one stopped. */
  readonly ref: string;
  /** Digest of the whole blob, if known. */
  readonly expected?: Digest;
  /** Bytes of the whole blob, if known. */
  readonly size?: number;
}

export interface CommitOptions {
  /** Checked by containerd. */
  readonly expected?: Digest;
  /** Checked by containerd. */
  readonly size?: number;
  readonly labels?: Labels;
}

/** Bytes of one message; far below the 16 MiB limit. */
const pieceBytes = 1024 * 1024;

type Request = MessageInitShape<typeof content.WriteContentRequestSchema>;
interface Piece {
  readonly offset: bigint;
  readonly data?: Uint8Array;
  readonly expected?: string;
  readonly total?: bigint;
  readonly labels?: Labels;
}

/**
 * An open ingest in containerd's content store. Only one writer can hold a ref; disposing lets it go and keeps
 * what was written.
 */
export class ContentWriter implements AsyncDisposable {
  readonly #options: WriterOptions;
  readonly #call: Duplex<Request, content.WriteContentResponse>;
  #offset = 0n;
  #digest: Digest | undefined;

  private constructor(options: WriterOptions, call: Duplex<Request, content.WriteContentResponse>) {
    this.#options = options;
    this.#call = call;
  }

  /**
   * Opens or resumes an ingest. Fails with `already-exists` when the expected blob is there, with `unavailable`
   * while another writer holds the ref.
   */
  static async open(
    connection: Connection,
    options: WriterOptions,
    call?: CallOptions,
  ): Promise<ContentWriter> {
    const api = connection.service(content.Content);
    const duplex = new Duplex<Request, content.WriteContentResponse>((requests) => api.write(requests, call));
    const writer = new ContentWriter(options, duplex);
    try {
      writer.#offset = (await writer.#ask(content.WriteAction.STAT)).offset;
      return writer;
    } catch (error) {
      await duplex[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Bytes received so far; where to go on after a resume. */
  get offset(): number {
    return Number(this.#offset);
  }

  /** Digest of everything received, once something was written. */
  get digest(): Digest | undefined {
    return this.#digest;
  }

  /** Appends. */
  async write(data: Uint8Array): Promise<void> {
    for (let start = 0; start < data.length; start += pieceBytes) {
      const piece = data.subarray(start, start + pieceBytes);
      const reply = await this.#ask(content.WriteAction.WRITE, { offset: this.#offset, data: piece });
      this.#offset = reply.offset;
      this.#digest = parseDigest(reply.digest);
    }
  }

  /** Verifies the blob and makes it visible; returns its digest. */
  async commit(options: CommitOptions = {}): Promise<Digest> {
    const { expected = this.#options.expected, size = this.#options.size, labels = {} } = options;
    const reply = await this.#ask(content.WriteAction.COMMIT, {
      offset: this.#offset,
      expected: expected ?? "",
      total: BigInt(size ?? this.#offset),
      labels,
    });
    return parseDigest(reply.digest);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#call[Symbol.asyncDispose]();
  }

  async #ask(action: content.WriteAction, more?: Piece): Promise<content.WriteContentResponse> {
    const { ref, expected = "", size = 0 } = this.#options;
    const request: Request = { action, ref, expected, total: BigInt(size), ...more };
    return required(await this.#call.ask(request), "status of the ingest");
  }
}
