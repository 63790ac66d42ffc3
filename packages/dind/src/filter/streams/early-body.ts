import type { IncomingHttpHeaders } from "node:http";
import type { Duplex } from "node:stream";
import { malformed, Refusal } from "../refusal.ts";
import { isComplete } from "../json/is-complete.ts";

/** A body that Node left on the connection of an upgrade, and what came after it. */
export interface EarlyBody {
  readonly body: Buffer;
  /** Bytes behind the body so far; meant for the stream. */
  readonly rest: Buffer;
  /** The body is in chunks whose end may still be on its way. */
  readonly openEnded: boolean;
}

const limit = 64 * 1024;
const slowestMs = 30_000;

/**
 * Reads the body of a request with Upgrade: Node hands it over unparsed. Some clients send it in chunks and never end
 * it, so a chunked body counts as whole when its JSON is.
 */
export async function readEarlyBody(
  socket: Duplex,
  head: Buffer,
  headers: IncomingHttpHeaders,
): Promise<EarlyBody> {
  const chunked = headers["transfer-encoding"] !== undefined;
  const length = Number(headers["content-length"] ?? 0);
  if (length > limit) throw new Refusal(413, "body-size", "", `the body has more than ${limit} bytes`);
  let held = head;
  for (;;) {
    const found = chunked ? fromChunks(held) : fromLength(held, length);
    if (found !== undefined) return found;
    if (held.length > limit) throw new Refusal(413, "body-size", "", `the body has more than ${limit} bytes`);
    held = Buffer.concat([held, await nextChunk(socket)]);
  }
}

const fromLength = (held: Buffer, length: number): EarlyBody | undefined =>
  held.length < length
    ? undefined
    : { body: held.subarray(0, length), rest: held.subarray(length), openEnded: false };

function fromChunks(held: Buffer): EarlyBody | undefined {
  const parts: Buffer[] = [];
  let at = 0;
  for (;;) {
    const line = held.indexOf("\r\n", at);
    if (line < 0) {
      if (held.length - at > 64) throw malformed("", "the chunks of the body are malformed", "framing");
      break;
    }
    const size = /^([0-9a-fA-F]{1,6})$/.exec(held.toString("latin1", at, line))?.[1];
    if (size === undefined) throw malformed("", "the chunks of the body are malformed", "framing");
    const start = line + 2;
    const end = start + Number.parseInt(size, 16);
    if (held.length < end + 2) break;
    if (held.toString("latin1", end, end + 2) !== "\r\n")
      throw malformed("", "the chunks of the body are malformed", "framing");
    if (end === start) return { body: Buffer.concat(parts), rest: held.subarray(end + 2), openEnded: false };
    parts.push(held.subarray(start, end));
    at = end + 2;
  }
  const body = Buffer.concat(parts);
  return body.length > 0 && isComplete(body) ? { body, rest: held.subarray(at), openEnded: true } : undefined;
}

/** Takes the end of a chunked body off what arrived before the stream began. */
export function withoutLastChunk(rest: Buffer): Buffer {
  const last = "0\r\n\r\n";
  return rest.toString("latin1", 0, last.length) === last ? rest.subarray(last.length) : rest;
}

async function nextChunk(socket: Duplex): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const timer = setTimeout(
    () => reject(new Refusal(408, "slow-body", "", "the body took too long to arrive")),
    slowestMs,
  );
  const gone = (): void => reject(malformed("", "the connection ended before the body", "framing"));
  const read = (): void => {
    const chunk: unknown = socket.read();
    if (Buffer.isBuffer(chunk)) resolve(chunk);
  };
  socket.on("readable", read).once("end", gone).once("close", gone);
  try {
    read();
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.off("readable", read).off("end", gone).off("close", gone);
  }
}
