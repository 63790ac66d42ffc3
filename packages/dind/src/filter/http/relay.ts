import type { ClientRequest, IncomingMessage, ServerResponse } from "node:http";
import { once } from "node:events";
import { pipeline } from "node:stream";
import { malformed, Refusal } from "../refusal.ts";
import { translateStream, translateText } from "../paths/translate.ts";
import type { Pins } from "../paths/pins.ts";
import type { Pending } from "../steps/step.ts";
import { answerHeaders } from "./answer.ts";
import { redact, redactions } from "./redact.ts";
import type { Head } from "./parse-request.ts";
import { unreachable } from "./upstream.ts";

const withoutLength = new Set(["content-length"]);
/** Answers that are held whole to be changed. */
const mostHeld = 64 * 1024 ** 2;

/** Waits for dockerd's answer. An answer that came counts, even when dockerd did not read the whole request. */
export async function answerOf(outgoing: ClientRequest): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  outgoing.on("response", resolve).on("error", (error) => reject(unreachable(error)));
  return promise;
}

/** Passes an answer on, at the client's pace; changes it where pins or secrets may be in it. */
export async function relayAnswer(
  head: Head,
  answer: IncomingMessage,
  response: ServerResponse,
  pins: Pins,
  pending: Pending | undefined,
): Promise<void> {
  const status = answer.statusCode ?? 502;
  const isJson = (answer.headers["content-type"] ?? "").startsWith("application/json");
  const { route } = head;
  const short = pending !== undefined || redactions[route.name] !== undefined;
  if (isJson && head.method !== "HEAD" && (short || (status >= 400 && pins.size > 0))) {
    const text = await hold(answer);
    const changed = pending === undefined ? text : await pending.answered(status, text);
    const body = translateText(status < 400 ? redact(route.name, changed) : changed, pins);
    response.writeHead(status, answer.statusMessage, [
      ...answerHeaders(answer, withoutLength),
      "Content-Length",
      String(Buffer.byteLength(body)),
    ]);
    response.end(body);
    return;
  }
  if (pending !== undefined) await pending.answered(status, "");
  const translate = route.answer === "paths" && isJson && pins.size > 0;
  const framed =
    answer.headers["content-length"] !== undefined || answer.headers["transfer-encoding"] !== undefined;
  if (!framed && head.method !== "HEAD" && status !== 204 && status !== 304) {
    // Raw bytes until dockerd closes: neither length nor chunks, as the client expects.
    response.shouldKeepAlive = false;
    response.useChunkedEncodingByDefault = false;
  }
  response.writeHead(
    status,
    answer.statusMessage,
    answerHeaders(answer, translate ? withoutLength : undefined),
  );
  // Clients wait for these before anything else comes, as with /wait and /events.
  response.flushHeaders();
  if (translate) pipeline(answer, translateStream(pins), response, ended);
  else pipeline(answer, response, ended);
  if (!response.writableFinished && !response.destroyed) await once(response, "close");
}

/** A failure on either side ends both; the client's connection tells. */
const ended = (): void => undefined;

async function hold(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer) {
    if (!Buffer.isBuffer(chunk)) continue;
    size += chunk.length;
    if (size > mostHeld) throw new Refusal(502, "answer-size", "", "dockerd's answer is too large");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size).toString();
}

/** Sends the client's payload on as it comes. Ends the exchange when it grows beyond `limit` bytes. */
export function streamBody(
  request: IncomingMessage,
  source: NodeJS.ReadableStream,
  outgoing: ClientRequest,
  limit: number,
): void {
  let size = 0;
  request.on("data", (chunk: Buffer) => {
    size += chunk.length;
    if (size > limit)
      outgoing.destroy(new Refusal(413, "upload-size", "", `the upload has more than ${limit} bytes`));
  });
  request.on("aborted", () => outgoing.destroy(malformed("", "the client went away")));
  source.on("error", (error) => outgoing.destroy(error instanceof Error ? error : undefined));
  source.pipe(outgoing);
}
