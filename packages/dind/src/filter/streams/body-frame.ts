import { malformed } from "../refusal.ts";

/** Bytes of a connection that belong to a request's body. */
export interface FramedBytes {
  /** For dockerd: framed as they came, and written anew where the client's spelling is not the plain one. */
  readonly framed: readonly Buffer[];
  /** The body alone. */
  readonly data: readonly Buffer[];
}

/** Finds the end of a request's body among the bytes of its connection. Throws a refusal (400) for what is malformed. */
export interface BodyFrame {
  readonly ended: boolean;
  /** What ends the body for dockerd. */
  readonly closing: string;
  take(bytes: Buffer): FramedBytes;
}

/** A body of a length that was announced. */
export class LengthFrame implements BodyFrame {
  readonly closing = "";
  #left: number;

  constructor(length: number) {
    this.#left = length;
  }

  get ended(): boolean {
    return this.#left === 0;
  }

  take(bytes: Buffer): FramedBytes {
    const own = bytes.length <= this.#left ? bytes : bytes.subarray(0, this.#left);
    this.#left -= own.length;
    return { framed: [own], data: [own] };
  }
}

const longestLine = 4096;
const longestTrailer = 16 * 1024;
const chunkSize = /^([0-9a-fA-F]{1,12})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/;
const carriageReturn = 0x0d;
const lineFeed = 0x0a;

/** A body in chunks. Extensions and trailers are left out; everything else has to be exact. */
export class ChunkFrame implements BodyFrame {
  readonly closing = "0\r\n\r\n";
  #state: "size" | "data" | "after-data" | "trailer" | "ended" = "size";
  /** Bytes of the chunk, or of the line end behind it, that have not come. */
  #left = 0;
  /** A line whose end has not come. */
  #line = "";
  #trailer = 0;

  get ended(): boolean {
    return this.#state === "ended";
  }

  take(bytes: Buffer): FramedBytes {
    const framed: Buffer[] = [];
    const data: Buffer[] = [];
    // Everything from here on goes on as it is.
    let from = 0;
    let at = 0;
    const keepUntil = (end: number): void => {
      if (end > from) framed.push(bytes.subarray(from, end));
    };
    while (at < bytes.length && this.#state !== "ended") {
      if (this.#state === "data") {
        const end = Math.min(bytes.length, at + this.#left);
        data.push(bytes.subarray(at, end));
        this.#left -= end - at;
        at = end;
        if (this.#left === 0) [this.#state, this.#left] = ["after-data", 2];
      } else if (this.#state === "after-data") {
        if (bytes[at] !== (this.#left === 2 ? carriageReturn : lineFeed)) throw badChunks();
        at += 1;
        this.#left -= 1;
        if (this.#left === 0) this.#state = "size";
      } else {
        const start = at;
        const wasBegun = this.#line !== "";
        const line = this.#takeLine(bytes, start);
        at = line === undefined ? bytes.length : bytes.indexOf(lineFeed, start) + 1;
        const plain = line === undefined ? undefined : this.#step(line);
        // Nothing to do for almost all of them: a plain size that came as a whole.
        if (plain !== undefined && plain === line && !wasBegun) continue;
        keepUntil(start);
        if (plain !== undefined) framed.push(Buffer.from(`${plain}\r\n`, "latin1"));
        from = at;
      }
    }
    keepUntil(at);
    return { framed, data };
  }

  /** The line from `start` on, with what came of it before; undefined while it has no end. */
  #takeLine(bytes: Buffer, start: number): string | undefined {
    const end = bytes.indexOf(lineFeed, start);
    const text = this.#line + bytes.toString("latin1", start, end < 0 ? bytes.length : end);
    if (text.length > longestLine) throw badChunks();
    this.#line = end < 0 ? text : "";
    if (end < 0) return undefined;
    if (!text.endsWith("\r")) throw badChunks();
    return text.slice(0, -1);
  }

  /** Acts on a line; gives the size as dockerd is to read it, for a chunk that is not the last. */
  #step(line: string): string | undefined {
    if (this.#state === "trailer") {
      this.#trailer += line.length;
      if (this.#trailer > longestTrailer) throw badChunks();
      if (line === "") this.#state = "ended";
      return undefined;
    }
    const digits = chunkSize.exec(line)?.[1];
    if (digits === undefined) throw badChunks();
    this.#left = Number.parseInt(digits, 16);
    this.#state = this.#left === 0 ? "trailer" : "data";
    return this.#left === 0 ? undefined : digits;
  }
}

const badChunks = () => malformed("", "the chunks of the body are malformed", "framing");
