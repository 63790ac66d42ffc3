import { closeSync, constants, openSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { errnoOf } from "@aeon/core";
import { openFlags } from "@aeon/core/linux";

/** No descriptor has that name. */
const nowhere = "/proc/self/fd/none";

/**
 * Connects to a Unix socket in a folder in which others, such as a DinD container, can put links: one in the socket's
 * place, which might lead to a socket of the host, is not followed but refused. Failures are events of the socket.
 */
export function connectSocket(path: string, { allowHalfOpen = false } = {}): Socket {
  const fd = openItself(path);
  try {
    // connect(2) is over when this returns, or has failed.
    return connect({ path: fd === undefined ? nowhere : `/proc/self/fd/${fd}`, allowHalfOpen });
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function openItself(path: string): number | undefined {
  try {
    return openSync(path, openFlags.path | constants.O_NOFOLLOW);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}
