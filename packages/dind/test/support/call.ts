import { request } from "node:http";
import { connect } from "node:net";

export interface Answer {
  readonly status: number;
  readonly text: string;
  /** The decoded body; undefined when it is no JSON. */
  readonly json: unknown;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** One call on a Unix socket; objects go as JSON, strings and buffers as they are. */
export function call(
  socketPath: string,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const bytes =
    body === undefined
      ? undefined
      : Buffer.isBuffer(body) || typeof body === "string"
        ? body
        : JSON.stringify(body);
  const outgoing = request(
    {
      socketPath,
      method,
      path,
      agent: false,
      headers: { ...(bytes !== undefined && { "content-type": "application/json" }), ...headers },
    },
    (answer) => {
      let text = "";
      answer.on("data", (chunk: Buffer) => (text += chunk.toString()));
      answer.on("end", () =>
        resolve({ status: answer.statusCode ?? 0, text, json: decode(text), headers: answer.headers }),
      );
      answer.on("error", reject);
    },
  );
  outgoing.on("error", reject);
  outgoing.end(bytes);
  return promise;
}

function decode(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Sends bytes and gives what comes back until the other side ends, or `quietMs` pass without a byte. */
export function sendBytes(socketPath: string, bytes: string | Buffer, quietMs = 700): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let text = "";
  const socket = connect(socketPath, () => socket.write(bytes));
  socket.setTimeout(quietMs, () => socket.destroy());
  socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
  socket.on("error", () => undefined);
  socket.on("close", () => resolve(text));
  return promise;
}
