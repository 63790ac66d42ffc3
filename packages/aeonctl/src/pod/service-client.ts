import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { buffer } from "node:stream/consumers";

/** A failure as the agent says it. */
export class ServiceFailure extends Error {
  /** Connect's name of the code, such as `permission_denied`. */
  readonly code: string;
  readonly reason: string;

  constructor(code: string, reason: string, message: string) {
    super(message);
    this.code = code;
    this.reason = reason;
  }
}

export interface ServiceProgressLine {
  readonly phase?: string;
  readonly message?: string;
  readonly done?: string;
  readonly total?: string;
}

export interface ServiceRequest {
  readonly socket: string;
  readonly token: string | undefined;
  readonly service: string;
  readonly action: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly onProgress: (progress: ServiceProgressLine) => void;
}

/** A result in protobuf's JSON form; `@type` names its type. */
export type ServiceResult = Readonly<Record<string, unknown>>;

const path = "/aeon.v1.ContainerService/ServiceStream";
const isEnd = 2;
const prefixBytes = 5;

/**
 * Calls an action over the container's socket. Connect's streaming JSON is spoken here by hand: a library would take
 * longer to load than the call takes.
 */
export async function callService(call: ServiceRequest): Promise<ServiceResult> {
  const { socket, token, service, action, params } = call;
  const body = envelope(JSON.stringify({ service, action, params }));
  const sent = request({
    socketPath: socket,
    path,
    method: "POST",
    headers: {
      "content-type": "application/connect+json",
      "connect-protocol-version": "1",
      "content-length": body.length,
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    },
  });
  sent.end(body);
  const [response]: IncomingMessage[] = await once(sent, "response");
  if (response === undefined) throw new TypeError("no response");
  if (response.statusCode !== 200) {
    const text = (await buffer(response)).toString();
    throw (
      failureOf(parsed(text)) ??
      new ServiceFailure("unknown", "AGENT_FOREIGN", `HTTP status ${response.statusCode}`)
    );
  }
  let result: ServiceResult | undefined;
  for await (const { isLast, message } of envelopes(response)) {
    if (isLast) {
      const failure = failureOf(message["error"]);
      if (failure !== undefined) throw failure;
    } else if (isObject(message["result"])) result = message["result"];
    else if (isObject(message["progress"])) call.onProgress(message["progress"]);
  }
  if (result === undefined)
    throw new ServiceFailure(
      "unavailable",
      "AGENT_LOST",
      "the agent ended the call without an answer; try again",
    );
  return result;
}

function envelope(json: string): Buffer {
  const text = Buffer.from(json);
  const prefix = Buffer.alloc(prefixBytes);
  prefix.writeUInt32BE(text.length, 1);
  return Buffer.concat([prefix, text]);
}

async function* envelopes(
  response: IncomingMessage,
): AsyncGenerator<{ readonly isLast: boolean; readonly message: ServiceResult }> {
  let rest = Buffer.alloc(0);
  for await (const chunk of response) {
    rest = Buffer.concat([rest, Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk))]);
    while (rest.length >= prefixBytes) {
      const end = prefixBytes + rest.readUInt32BE(1);
      if (rest.length < end) break;
      const message = parsed(rest.subarray(prefixBytes, end).toString());
      yield { isLast: ((rest[0] ?? 0) & isEnd) !== 0, message: isObject(message) ? message : {} };
      rest = rest.subarray(end);
    }
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Connect's error: code, message and details, of which the first says aeon's reason. */
function failureOf(error: unknown): ServiceFailure | undefined {
  if (!isObject(error)) return undefined;
  const [detail] = Array.isArray(error["details"]) ? error["details"] : [];
  const debug: unknown = isObject(detail) ? detail["debug"] : undefined;
  const reason = isObject(debug) ? debug["reason"] : undefined;
  return new ServiceFailure(
    typeof error["code"] === "string" ? error["code"] : "unknown",
    typeof reason === "string" ? reason : "",
    typeof error["message"] === "string" ? error["message"] : "no reason given",
  );
}
