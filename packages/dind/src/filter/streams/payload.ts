import type { IncomingHttpHeaders, OutgoingMessage } from "node:http";
import type { Writable } from "node:stream";
import { malformed, Refusal } from "../refusal.ts";
import { ChunkFrame, LengthFrame, type BodyFrame, type FramedBytes } from "./body-frame.ts";
import type { TakenSocket } from "./taken-socket.ts";

/** Whether a request with these headers has a body. */
export const hasBody = (headers: IncomingHttpHeaders): boolean =>
  headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;

/**
 * A request's body that goes to dockerd as it comes, at dockerd's pace, from the bare connection: taken apart and put
 * together again it would be half as fast. Refuses with 413 beyond `limit` bytes.
 */
export class Payload {
  readonly #taken: TakenSocket;
  readonly #frame: BodyFrame;
  readonly #limit: number;
  /** Came with the head. */
  #early: Buffer;
  #size = 0;
  /** Read already, and still to be sent. */
  #framed: Buffer[] = [];
  #data: Buffer[] = [];

  constructor(taken: TakenSocket, early: Buffer, headers: IncomingHttpHeaders, limit: number) {
    this.#taken = taken;
    this.#early = early;
    this.#limit = limit;
    const length = Number(headers["content-length"] ?? 0);
    if (length > limit) throw tooLarge(limit);
    this.#frame = headers["transfer-encoding"] === undefined ? new LengthFrame(length) : new ChunkFrame();
  }

  /** The first bytes of the body, at least `size` unless it is shorter. They are still to come. */
  async start(size: number): Promise<Buffer> {
    let held = 0;
    await this.#read(({ framed, data }) => {
      // What is lent has to be copied.
      this.#framed.push(...framed.map((piece) => Buffer.from(piece)));
      this.#data.push(...data.map((piece) => Buffer.from(piece)));
      for (const { length } of data) held += length;
      return held < size;
    });
    return Buffer.concat(this.#data);
  }

  /** Sends the body, framed as the client framed it; `outgoing` says so in its headers. */
  async sendTo(outgoing: OutgoingMessage): Promise<void> {
    outgoing.flushHeaders();
    // Node would put chunks around what is in chunks already.
    outgoing.chunkedEncoding = false;
    const { socket } = this.#taken;
    const written = (): void => {
      if (outgoing.writableLength === 0) socket.resume();
    };
    for (const piece of this.#framed) outgoing.write(piece);
    await this.#read(({ framed }) => {
      for (const piece of framed) outgoing.write(piece, written);
      // Until the kernel has it all the lent memory is not given back.
      if (outgoing.writableLength > 0) socket.pause();
      return true;
    });
    outgoing.end(this.#frame.closing);
    this.#taken.drop();
  }

  /** The body alone, without frames. */
  async pour(sink: Writable): Promise<void> {
    const { socket } = this.#taken;
    const write = (data: readonly Buffer[]): true => {
      let isFree = true;
      for (const piece of data) isFree = sink.write(Buffer.from(piece));
      if (!isFree) socket.pause();
      return true;
    };
    sink.on("drain", () => socket.resume());
    write(this.#data);
    await this.#read(({ data }) => write(data));
    sink.end();
    this.#taken.drop();
  }

  /** Reads until the body ends or `take` wants no more. */
  async #read(take: (bytes: FramedBytes) => boolean): Promise<void> {
    const { socket } = this.#taken;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const gone = (): void => reject(malformed("", "the connection ended before the body", "framing"));
    const next = (bytes: Buffer): void => {
      try {
        this.#size += bytes.length;
        if (this.#size > this.#limit) throw tooLarge(this.#limit);
        if (take(this.#frame.take(bytes)) && !this.#frame.ended) return;
        resolve();
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)));
      }
      this.#taken.take = undefined;
      socket.pause();
    };
    if (this.#frame.ended) return;
    this.#taken.take = next;
    socket.once("end", gone).once("close", gone);
    try {
      const early = this.#early;
      this.#early = Buffer.alloc(0);
      socket.resume();
      if (early.length > 0) next(early);
      await promise;
    } finally {
      socket.off("end", gone).off("close", gone);
    }
  }
}

const tooLarge = (limit: number): Refusal =>
  new Refusal(413, "upload-size", "", `the upload has more than ${limit} bytes`);
