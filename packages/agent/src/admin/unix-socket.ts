import { once } from "node:events";
import { chmod, rename, rm } from "node:fs/promises";
import { connect, type Server } from "node:net";
import { errnoOf } from "@aeon/core";

/** True when a process accepts connections on the socket; false for a missing or stale file. */
export async function isServed(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, "connect");
    return true;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOENT" || errno === "ECONNREFUSED") return false;
    throw error;
  } finally {
    socket.destroy();
  }
}

/**
 * Listens on `path` for its owner alone. The socket gets its mode under another name and is then moved into
 * place, so that there is no moment in which others can connect; a stale file is replaced.
 */
export async function bindPrivately(server: Server, path: string): Promise<void> {
  const temporary = `${path}.${process.pid}`;
  await rm(temporary, { force: true });
  server.listen(temporary);
  await once(server, "listening");
  try {
    await chmod(temporary, 0o600);
    await rename(temporary, path);
  } catch (error) {
    server.close();
    throw error;
  }
}
