import { STATUS_CODES, type ClientRequest, type IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { encodeJson } from "../json/encode-json.ts";
import { malformed } from "../refusal.ts";
import { readEarlyBody, withoutLastChunk } from "../streams/early-body.ts";
import { tunnel } from "../streams/tunnel.ts";
import { answerHeaders, errorText, sendBare } from "./answer.ts";
import { forwardedHeaders, type OutgoingHeaders, parseBody, type Head } from "./parse-request.ts";
import { Call, upstreamRequest, type ServiceContext } from "./call.ts";
import { unreachable } from "./upstream.ts";

/** Counts of what goes on, for status and limits. */
export interface StreamCounter {
  opened(): void;
  closed(): void;
}

/** Serves a request that asks for a connection of its own. Nothing passes before dockerd has said 101. */
export async function serveUpgrade(
  context: ServiceContext,
  request: IncomingMessage,
  socket: Duplex,
  early: Buffer,
  streams: StreamCounter,
): Promise<void> {
  const call = new Call(context, request);
  try {
    const { head, parse } = await call.open();
    const { body, rest, openEnded } = await readEarlyBody(socket, early, request.headers);
    if (body.length > 0 && head.route.body.kind !== "json")
      throw malformed("", "this request has no body", "framing");
    const value = parseBody(head, body, parse);
    const bytes = value === undefined ? undefined : Buffer.from(encodeJson(value));
    const protocol = protocolFor(head, request);
    const headers: OutgoingHeaders = {
      ...forwardedHeaders(head, request.headersDistinct),
      connection: "Upgrade",
      upgrade: protocol,
      ...(bytes !== undefined && { "content-type": "application/json" }),
      ...(protocol !== "websocket" && { "content-length": String(bytes?.length ?? 0) }),
    };
    const outgoing = context.upstream.startUpgrade(upstreamRequest(head, headers));
    outgoing.end(bytes);
    const gone = (): void => void outgoing.destroy();
    socket.once("close", gone);
    const outcome = await outcomeOf(outgoing);
    const status = outcome.connection === undefined ? (outcome.answer.statusCode ?? 502) : 101;
    if (outcome.connection === undefined) await relayBare(outcome.answer, socket);
    else {
      socket.off("close", gone);
      streams.opened();
      socket.write(
        headText(101, outcome.answer.statusMessage ?? "", [
          ...answerHeaders(outcome.answer),
          "Connection",
          "Upgrade",
          "Upgrade",
          outcome.answer.headers.upgrade ?? protocol,
        ]),
      );
      if (outcome.head.length > 0) socket.write(outcome.head);
      const held = openEnded ? withoutLastChunk(await drained(socket, rest)) : rest;
      if (held.length > 0) outcome.connection.write(held);
      tunnel(socket, outcome.connection, () => streams.closed());
    }
    call.passed(status);
  } catch (error) {
    const { status, message } = call.failed(error);
    sendBare(socket, status, STATUS_CODES[status] ?? "Refused", errorText(message));
    socket.resume();
    setTimeout(() => socket.destroy(), 1000).unref();
  }
}

/** Only what the route is for; the client's word never goes through as it is. */
function protocolFor(head: Head, request: IncomingMessage): string {
  if (head.route.name === "ContainerAttachWebsocket") return "websocket";
  if (head.route.answer === "hijack") return "tcp";
  if (request.headers.upgrade?.toLowerCase() !== "h2c")
    throw malformed("", "this endpoint speaks h2c: send Upgrade: h2c", "upgrade");
  return "h2c";
}

interface Outcome {
  readonly answer: IncomingMessage;
  readonly connection: Duplex | undefined;
  readonly head: Buffer;
}

function outcomeOf(outgoing: ClientRequest): Promise<Outcome> {
  const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
  outgoing
    .on("upgrade", (answer, connection, head) => {
      connection.on("error", () => connection.destroy());
      resolve({ answer, connection, head });
    })
    .on("response", (answer) => resolve({ answer, connection: undefined, head: Buffer.alloc(0) }))
    .on("error", (error) => reject(unreachable(error)));
  return promise;
}

/** What the client sent between the body and dockerd's 101. */
async function drained(socket: Duplex, rest: Buffer): Promise<Buffer> {
  const more: unknown = socket.read();
  return Buffer.isBuffer(more) ? Buffer.concat([rest, more]) : rest;
}

/** Anything but 101: the answer as it is, and the end of the connection. */
async function relayBare(answer: IncomingMessage, socket: Duplex): Promise<void> {
  socket.write(
    headText(answer.statusCode ?? 502, answer.statusMessage ?? "", [
      ...answerHeaders(answer),
      "Connection",
      "close",
    ]),
  );
  // What the client still sends is not read: it was meant for a stream that there is not.
  socket.resume();
  answer.pipe(socket);
}

function headText(status: number, message: string, headers: readonly string[]): string {
  const lines = [`HTTP/1.1 ${status} ${message}`];
  for (let index = 0; index + 1 < headers.length; index += 2)
    lines.push(`${headers[index]}: ${headers[index + 1]}`);
  return `${lines.join("\r\n")}\r\n\r\n`;
}
