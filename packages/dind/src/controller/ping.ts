import { readFile } from "node:fs/promises";
import { request } from "node:http";

/** Asks a dockerd whether it serves; the reason when it does not. */
export function ping(socketPath: string, timeoutMs = 2000): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const sent = request({ socketPath, path: "/_ping", agent: false, timeout: timeoutMs }, (response) => {
    response.resume();
    resolve(response.statusCode === 200 ? undefined : `dockerd answered ${response.statusCode}`);
  });
  sent.once("timeout", () => sent.destroy(new Error(`dockerd did not answer within ${timeoutMs} ms`)));
  sent.once("error", (error) => resolve(error.message));
  sent.end();
  return promise;
}

/** What dockerd said last. */
export async function logTail(path: string, lines = 5): Promise<string> {
  const text = await readFile(path, "utf8").catch(() => "");
  return text.trimEnd().split("\n").slice(-lines).join("\n");
}
