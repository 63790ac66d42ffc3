import type { IncomingMessage } from "node:http";
import { Refusal, malformed } from "../refusal.ts";

/** How long a client may take to send a JSON body. */
const slowestMs = 60_000;

/** Reads a whole body of at most `limit` bytes. Refuses with 413, or 408 when it takes too long. */
export async function readBody(request: IncomingMessage, limit: number): Promise<Buffer> {
  const announced = Number(request.headers["content-length"] ?? 0);
  if (announced > limit) throw tooLarge(limit);
  const chunks: Buffer[] = [];
  let size = 0;
  const timer = setTimeout(
    () => request.destroy(new Refusal(408, "slow-body", "", "the body took too long to arrive")),
    slowestMs,
  );
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      if (!Buffer.isBuffer(chunk)) continue;
      size += chunk.length;
      if (size > limit) throw tooLarge(limit);
      chunks.push(chunk);
    }
  } finally {
    clearTimeout(timer);
  }
  if (!request.complete) throw malformed("", "the body ended early");
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, size);
}

const tooLarge = (limit: number): Refusal =>
  new Refusal(413, "body-size", "", `the body has more than ${limit} bytes`);

/** Refuses encodings and framings that dockerd and Node might read differently. */
export function checkFraming(headers: IncomingMessage["headers"]): void {
  const encoding = headers["content-encoding"];
  if (encoding !== undefined && encoding !== "identity")
    throw new Refusal(
      415,
      "content-encoding",
      "",
      `the content encoding ${encoding.slice(0, 40)} is not accepted`,
    );
  const framing = headers["transfer-encoding"];
  if (framing !== undefined && framing.toLowerCase() !== "chunked")
    throw malformed("", "the transfer encoding has to be chunked", "framing");
}
