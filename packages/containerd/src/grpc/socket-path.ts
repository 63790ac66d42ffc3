import { lstat, unlink } from "node:fs/promises";
import { connect } from "node:net";
import { isAbsolute } from "node:path";
import { errnoOf } from "@aeon/core";
import { errors } from "../errors.ts";

/** `sun_path` without its terminating zero (unix(7)). */
const maxPathBytes = 107;

/** Refuses paths that bind(2) would cut short or misread. */
export function checkSocketPath(path: string): void {
  if (!isAbsolute(path)) throw errors.SOCKET_PATH_INVALID(`socket path ${path} is not absolute`);
  const length = Buffer.byteLength(path);
  if (length > maxPathBytes)
    throw errors.SOCKET_PATH_INVALID(`socket path ${path} has ${length} bytes, the limit is ${maxPathBytes}`);
}

/** True when a process accepts connections at the path. */
function isListening(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = connect(path);
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", (error) => {
      const errno = errnoOf(error);
      if (errno === "ECONNREFUSED" || errno === "ENOENT") resolve(false);
      else if (errno === "EAGAIN") resolve(true);
      else reject(error);
    });
  });
}

/** Removes a socket that nobody serves any more; `SOCKET_IN_USE` when somebody does. */
export async function clearStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch((error: unknown) => {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  });
  if (found === undefined) return;
  if (!found.isSocket()) throw errors.SOCKET_PATH_INVALID(`${path} exists and is not a socket`);
  if (await isListening(path)) throw errors.SOCKET_IN_USE(`another process listens on ${path}`);
  await unlink(path).catch((error: unknown) => {
    if (errnoOf(error) !== "ENOENT") throw error;
  });
}
