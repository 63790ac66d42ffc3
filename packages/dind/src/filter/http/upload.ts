import { ServerResponse, type ClientRequest, type IncomingMessage } from "node:http";
import { PassThrough } from "node:stream";
import type { Socket } from "node:net";
import { Payload } from "../streams/payload.ts";
import type { TakenSocket } from "../streams/taken-socket.ts";
import { blockSize, isTarHeader, unpackTar } from "../streams/plain-tar.ts";
import { sendRefusal } from "./answer.ts";
import { Call, upstreamRequest, type ServiceContext } from "./call.ts";
import { forwardedHeaders, type Head } from "./parse-request.ts";
import { answerOf, relayAnswer } from "./relay.ts";
import { unreachableOr } from "./upstream.ts";

/** Reading goes on for so long after the answer, or a client that still sends could lose it to a reset. */
const lingerMs = 1000;

/**
 * Serves a request whose body is for dockerd as it is: an archive, an image, the context of a build. The connection ends
 * with it.
 */
export async function serveUpload(
  context: ServiceContext,
  request: IncomingMessage,
  taken: TakenSocket,
  early: Buffer,
  response: ServerResponse,
): Promise<void> {
  const call = new Call(context, request);
  try {
    const { head, parse } = await call.open();
    const payload = new Payload(taken, early, request.headers, parse.settings.limits.uploadBytes);
    if (request.headers.expect?.toLowerCase() === "100-continue") response.writeContinue();
    const outgoing = await send(context, head, request, payload);
    response.on("close", () => {
      if (!response.writableFinished) outgoing.destroy();
    });
    await relayAnswer(head, await answerOf(outgoing), response, context.pins, undefined);
    // dockerd has answered before the end; nobody wants the rest.
    if (!outgoing.writableEnded) outgoing.destroy();
    call.passed(response.statusCode);
  } catch (error) {
    sendRefusal(request, response, call.failed(unreachableOr(error)));
  }
  taken.drop();
}

/** Begins to send; what goes wrong on the way ends the request to dockerd. */
async function send(
  context: ServiceContext,
  head: Head,
  request: IncomingMessage,
  payload: Payload,
): Promise<ClientRequest> {
  const { body, step } = head.route;
  const headers = forwardedHeaders(head, request.headersDistinct);
  if (body.kind === "stream") headers["content-type"] = body.type;
  const start = step === "archive" ? await payload.start(blockSize) : undefined;
  const chunked = { ...headers, "transfer-encoding": "chunked" };
  if (start !== undefined && start.length > 0 && !isTarHeader(start)) {
    const packed = new PassThrough();
    payload.pour(packed).catch((error: unknown) => packed.destroy(asError(error)));
    const plain = await unpackTar(start, packed);
    const outgoing = context.upstream.startUpload(upstreamRequest(head, chunked));
    plain.on("error", (error) => outgoing.destroy(error)).pipe(outgoing);
    return outgoing;
  }
  const length = request.headers["content-length"];
  const framed = length === undefined ? chunked : { ...headers, "content-length": length };
  const outgoing = context.upstream.startUpload(upstreamRequest(head, framed));
  payload.sendTo(outgoing).catch((error: unknown) => outgoing.destroy(asError(error)));
  return outgoing;
}

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));

/** An answer on a connection that Node's server has let go of. */
export function answerOn(request: IncomingMessage, socket: Socket): ServerResponse {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  // Node's server does both for the connections that it keeps.
  socket.on("drain", () => response.emit("drain"));
  response.on("finish", () => {
    response.detachSocket(socket);
    response.emit("close");
    socket.end();
    setTimeout(() => socket.destroy(), lingerMs).unref();
  });
  return response;
}
