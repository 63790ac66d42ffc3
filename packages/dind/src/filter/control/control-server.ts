import { chmodSync, renameSync, unlinkSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { connect } from "node:net";
import { readBody } from "../http/read-body.ts";

/** Calls of the controller by method and path; the result is the JSON, or text, of the answer. */
export type ControlHandlers = Readonly<Record<string, (body: unknown) => unknown>>;

export interface ControlServer {
  /** Takes no more calls, and ends the answers to `GET /alive`. */
  close(): void;
}

/** Serves the controller on a socket that only root may use; replaces one that nobody answers on. */
export async function serveControl(
  path: string,
  handlers: ControlHandlers,
  options: { readonly replace: boolean },
): Promise<ControlServer> {
  const watches = new Set<ServerResponse>();
  const server = createServer((request, response) => {
    if (request.url === "/alive") {
      watches.add(response);
      response.once("close", () => watches.delete(response));
      response.writeHead(200).flushHeaders();
      return;
    }
    void respond();
    async function respond(): Promise<void> {
      const { status, type, text } = await answer(request, handlers);
      response.writeHead(status, {
        "content-type": type,
        "content-length": Buffer.byteLength(text),
        connection: "close",
      });
      response.end(text);
    }
  });
  if (!options.replace && (await isServed(path))) throw new Error(`another filter answers on ${path}`);
  // Closing removes the name that a socket was made under, which by then would be the successor's.
  const made = `${path}~`;
  unlinkIfThere(made);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const mask = process.umask(0o177);
  server.once("error", reject).listen(made, resolve);
  process.umask(mask);
  await promise;
  chmodSync(made, 0o600);
  renameSync(made, path);
  return {
    close: () => {
      server.close();
      for (const watch of watches) watch.end();
    },
  };
}

async function answer(request: IncomingMessage, handlers: ControlHandlers) {
  const handler = handlers[`${request.method ?? ""} ${request.url ?? ""}`];
  const json = "application/json";
  if (handler === undefined) return { status: 404, type: json, text: '{"message":"there is no such call"}' };
  try {
    const bytes = await readBody(request, 1024 ** 2);
    const body: unknown = bytes.length === 0 ? undefined : JSON.parse(bytes.toString());
    const result = await handler(body);
    return typeof result === "string"
      ? { status: 200, type: "text/plain; version=0.0.4", text: result }
      : { status: 200, type: json, text: JSON.stringify(result ?? {}) };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { status: 500, type: json, text: JSON.stringify({ message }) };
  }
}

function isServed(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(path, () => {
    socket.destroy();
    resolve(true);
  });
  socket.on("error", () => resolve(false));
  return promise;
}

function unlinkIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Nothing was there.
  }
}
