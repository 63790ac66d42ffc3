import type { IncomingMessage, ServerResponse } from "node:http";
import { encodeJson } from "../json/encode-json.ts";
import type { JsonValue } from "../json/json-value.ts";
import { malformed, Refusal } from "../refusal.ts";
import { restoreBinds } from "../steps/container-inspect.ts";
import { prepareContainer } from "../steps/container-create.ts";
import { resolveNetwork } from "../schemas/network-mode.ts";
import { prepareVolume } from "../steps/volume-create.ts";
import type { Pending, StepContext } from "../steps/step.ts";
import { sendRefusal } from "./answer.ts";
import { Call, upstreamRequest, type ServiceContext } from "./call.ts";
import {
  forwardedHeaders,
  type OutgoingHeaders,
  parseBody,
  type Head,
  type ParseContext,
} from "./parse-request.ts";
import { readBody } from "./read-body.ts";
import { answerOf, relayAnswer } from "./relay.ts";
import { unreachableOr } from "./upstream.ts";

const notAManager =
  'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.';

/** Serves one ordinary request. */
export async function serveRequest(
  context: ServiceContext,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const call = new Call(context, request);
  try {
    if (call.method === "OPTIONS") response.writeHead(200, { "content-length": 0 }).end();
    else {
      const { head, parse } = await call.open();
      if (head.route.local === "not-a-manager") throw new Refusal(503, "no-swarm", "", notAManager);
      await forward(context, parse, head, request, response);
    }
    call.passed(response.statusCode);
  } catch (error) {
    sendRefusal(request, response, call.failed(error));
  }
}

async function forward(
  context: ServiceContext,
  parse: ParseContext,
  head: Head,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { body } = head.route;
  const headers = forwardedHeaders(head, request.headersDistinct);
  let value: JsonValue | undefined;
  if (body.kind === "json")
    value = parseBody(head, await readBody(request, parse.settings.limits.jsonBytes), parse);
  else {
    // Payloads do not come this way.
    request.resume();
    if (body.kind === "stream") headers["content-type"] = body.type;
  }
  const pending = await prepare(context, head, value);
  try {
    const outgoing = start(context, head, headers, value, request);
    response.on("close", () => {
      if (!response.writableFinished) outgoing.destroy();
    });
    const answer = await answerOf(outgoing);
    await relayAnswer(head, answer, response, context.pins, pending);
  } catch (error) {
    await pending?.failed();
    throw unreachableOr(error);
  }
}

function start(
  context: ServiceContext,
  head: Head,
  headers: OutgoingHeaders,
  value: JsonValue | undefined,
  { socket }: IncomingMessage,
) {
  if (socket.destroyed) throw malformed("", "the client went away");
  const bytes = value === undefined ? undefined : Buffer.from(encodeJson(value));
  if (bytes !== undefined) {
    headers["content-type"] = "application/json";
    headers["content-length"] = String(bytes.length);
  } else if (head.method !== "GET" && head.method !== "HEAD") headers["content-length"] = "0";
  return context.upstream.start(upstreamRequest(head, headers), socket).end(bytes);
}

/** Work of the route's own between decision and forwarding. */
export async function prepare(
  context: StepContext,
  head: Head,
  value: JsonValue | undefined,
): Promise<Pending | undefined> {
  const { step } = head.route;
  if (step === "container-create") return prepareContainer(value, context);
  if (step === "volume-create") return prepareVolume(value, context);
  if (step === "container-inspect") return restoreBinds(context);
  if (step === "network-name")
    resolveNetwork(head.parameters["id"] ?? "", context.settings.network, "network");
  return undefined;
}
