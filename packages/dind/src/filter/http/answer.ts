import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { Refusal } from "../refusal.ts";
import { lowerVersion, schemaVersions } from "./api-version.ts";

const hopByHop = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** dockerd's headers as name and value in turn, without those of its connection; `Api-Version` is held to the schemas. */
export function answerHeaders(answer: IncomingMessage, without: ReadonlySet<string> = new Set()): string[] {
  const { rawHeaders } = answer;
  const result: string[] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? "";
    const value = rawHeaders[index + 1] ?? "";
    const lower = name.toLowerCase();
    if (hopByHop.has(lower) || without.has(lower)) continue;
    result.push(name, lower === "api-version" ? lowerVersion(value, schemaVersions.highest) : value);
  }
  return result;
}

/** Docker's error form. */
export const errorText = (message: string): string => `${JSON.stringify({ message })}\n`;

/** Answers an ordinary request with a refusal; the connection ends when the body was not read to its end. */
export function sendRefusal(request: IncomingMessage, response: ServerResponse, refusal: Refusal): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const text = errorText(refusal.message);
  response.shouldKeepAlive &&= request.complete;
  response.writeHead(refusal.status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
  });
  if (request.method !== "HEAD") response.write(text);
  if (request.complete) response.end();
  else endAfterBody(request, response);
}

/** Reads what is still on its way for a moment first, or the client would lose the answer to a reset. */
function endAfterBody(request: IncomingMessage, response: ServerResponse): void {
  const late = setTimeout(() => request.socket.destroy(), 1000);
  request.once("close", () => clearTimeout(late));
  request.once("end", () => response.end());
  request.resume();
}

/** Answers on a bare connection, and ends it. */
export function sendBare(socket: Duplex, status: number, reason: string, text: string): void {
  if (socket.destroyed) return;
  socket.end(
    [
      `HTTP/1.1 ${status} ${reason}`,
      "Content-Type: application/json",
      `Content-Length: ${Buffer.byteLength(text)}`,
      "Connection: close",
      "",
      text,
    ].join("\r\n"),
  );
}

/** What anything thrown is to the client; details of unexpected failures stay here. */
export const asRefusal = (error: unknown): Refusal =>
  error instanceof Refusal ? error : new Refusal(500, "internal", "", "the filter failed [aeon: internal]");
