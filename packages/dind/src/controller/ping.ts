import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { request } from "node:http";
import type { Socket } from "node:net";
import { text } from "node:stream/consumers";
import { connectSocket } from "../system/connect-socket.ts";

/** Asks a dockerd whether it serves; the reason when it does not. */
export async function ping(socketPath: string, timeoutMs = 2000): Promise<string | undefined> {
  try {
    await ask(socketPath, "/_ping", timeoutMs);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** How many containers run in it; 1 when it does not say. */
export async function runningContainers(socketPath: string, timeoutMs = 5000): Promise<number> {
  try {
    const listed: unknown = JSON.parse(await ask(socketPath, "/containers/json", timeoutMs));
    return Array.isArray(listed) ? listed.length : 1;
  } catch {
    return 1;
  }
}

async function ask(socketPath: string, path: string, timeoutMs: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const createConnection = (): Socket => connectSocket(socketPath);
  const sent = request({ createConnection, path, timeout: timeoutMs }, (response) => {
    if (response.statusCode !== 200) reject(new Error(`dockerd answered ${response.statusCode}`));
    text(response).then(resolve, reject);
  });
  sent.once("timeout", () => sent.destroy(new Error(`dockerd did not answer within ${timeoutMs} ms`)));
  sent.once("error", reject);
  sent.end();
  return promise;
}

/** Bytes of the end of a log that are read. */
const tailBytes = 8192;

/** What dockerd said last. Whoever got hold of dockerd may have put something else in the log's place. */
export async function logTail(path: string, lines = 5): Promise<string> {
  try {
    await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const status = await file.stat();
    if (!status.isFile()) return "";
    const { buffer, bytesRead } = await file.read({
      buffer: Buffer.alloc(tailBytes),
      position: Math.max(0, status.size - tailBytes),
    });
    return buffer.toString("utf8", 0, bytesRead).trimEnd().split("\n").slice(-lines).join("\n");
  } catch {
    return "";
  }
}
