import { closeSync } from "node:fs";
import { libcFunction } from "./libc.ts";
import { LinuxError } from "./linux-error.ts";

const socket = libcFunction("int socket(int domain, int type, int protocol)");
const send = libcFunction("long send(int fd, void *data, size_t size, int flags)");
const receive = libcFunction("long recv(int fd, void *data, size_t size, int flags)");

const afNetlink = 16;
const raw = 3;
const closeOnExec = 0x8_0000;
const errorType = 2;
const headerSize = 16;

/** Protocols of netlink(7) that are used here. */
export const netlinkProtocols = { route: 0, netfilter: 12 } as const;

/**
 * Sends one netlink message or batch, of which exactly one part asks for an acknowledgement, in the calling thread's
 * network namespace and waits for that. Gives the errno, 0 for success.
 */
export function netlinkRequestSync(protocol: number, message: Buffer): number {
  const fd = socket.sync("netlink", afNetlink, raw | closeOnExec, protocol);
  try {
    send.sync("netlink", fd, message, message.length, 0);
    const answer = Buffer.alloc(65_536);
    const size = receive.sync("netlink", fd, answer, answer.length, 0);
    if (size < headerSize + 4 || answer.readUInt16LE(4) !== errorType)
      throw new LinuxError("EPROTO", "recv", "netlink");
    return -answer.readInt32LE(headerSize);
  } finally {
    closeSync(fd);
  }
}
