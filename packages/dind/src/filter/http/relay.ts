import type { ClientRequest, IncomingMessage, ServerResponse } from "node:http";
import { once } from "node:events";
import { pipeline } from "node:stream";
import { Refusal } from "../refusal.ts";
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
/** Answers that dockerd has written already when it says how long they are; they go on in one piece. */
const mostAtOnce = 64 * 1024;

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
  const length = Number(answer.headers["content-length"] ?? Number.NaN);
  const translate = route.answer === "paths" && isJson && pins.size > 0;
  if (!translate && length <= mostAtOnce && head.method !== "HEAD") {
    const bytes = await readAll(answer);
    response.writeHead(status, answer.statusMessage, answerHeaders(answer)).end(bytes);
    return;
  }
  const framed = !Number.isNaN(length) || answer.headers["transfer-encoding"] !== undefined;
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

const hold = async (answer: IncomingMessage): Promise<string> => (await readAll(answer)).toString();

function readAll(answer: IncomingMessage): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const chunks: Buffer[] = [];
  let size = 0;
  answer
    .on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size > mostHeld)
        answer.destroy(new Refusal(502, "answer-size", "", "dockerd's answer is too large"));
      chunks.push(chunk);
    })
    .on("end", () => resolve(Buffer.concat(chunks, size)))
    .on("error", reject);
  return promise;
}
