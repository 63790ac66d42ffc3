import { closeSync } from "node:fs";
import { libcFunction } from "./libc.ts";
import { LinuxError } from "./linux-error.ts";
import { cString } from "./path.ts";

const socket = libcFunction("int socket(int domain, int type, int protocol)");
const sendto = libcFunction(
  "long sendto(int fd, void *data, size_t size, int flags, void *address, uint32_t addressSize)",
);
const getsockopt = libcFunction("int getsockopt(int fd, int level, int name, void *value, void *size)");

const bindCall = libcFunction("int bind(int fd, void *address, uint32_t addressSize)");
const listenCall = libcFunction("int listen(int fd, int backlog)");

const afUnix = 1;
const datagram = 2;
const closeOnExec = 0x8_0000;
const nonBlocking = 0x800;
const noSignal = 0x4000;
const solSocket = 1;
const soPeerCred = 17;
/** sizeof(sockaddr_un.sun_path). */
const longestPath = 108;

/**
 * Sends one datagram to a Unix socket; a name that begins with `@` is in the abstract namespace. Does not wait:
 * fails with `EAGAIN` when the receiver's queue is full.
 */
export function sendDatagramSync(address: string, data: string): void {
  const target = socketAddress(address);
  const payload = Buffer.from(data);
  const fd = socket.sync(address, afUnix, datagram | closeOnExec | nonBlocking, 0);
  try {
    sendto.sync(address, fd, payload, payload.length, noSignal, target, target.length);
  } finally {
    closeSync(fd);
  }
}

const stream = 1;

/**
 * Listens on a new Unix socket and gives the bare descriptor, which a child process can inherit; unlike a server of
 * `node:net`, closing it leaves the name. `mode` is what the file gets. Fails with `EADDRINUSE` when the name exists.
 */
export function listenUnixSync(path: string, mode: number, backlog = 512): number {
  const address = socketAddress(path);
  const fd = socket.sync(path, afUnix, stream | closeOnExec, 0);
  // Other threads may make files meanwhile: those get fewer permissions, never more.
  const umask = process.umask(0o777 & ~mode);
  try {
    bindCall.sync(path, fd, address, address.length);
    listenCall.sync(path, fd, backlog);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  } finally {
    process.umask(umask);
  }
}

/** sockaddr_un(7): an abstract name begins with NUL and is not terminated. */
function socketAddress(address: string): Buffer {
  const path = address.startsWith("@")
    ? Buffer.concat([Buffer.of(0), cString(address.slice(1)).subarray(0, -1)])
    : cString(address);
  if (path.length > longestPath) throw new LinuxError("ENAMETOOLONG", "sendto", address);
  const family = Buffer.alloc(2);
  family.writeUInt16LE(afUnix);
  return Buffer.concat([family, path]);
}

/** Who is at the other end of a connected Unix socket, as the kernel saw it when it connected (SO_PEERCRED). */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** Takes a `net.Socket` of a Unix server; Node shows its descriptor only on the handle. `EBADF` once it is closed. */
export function peerCredentials(connection: object): PeerCredentials {
  const handle: unknown = Reflect.get(connection, "_handle");
  const fd: unknown = typeof handle === "object" && handle !== null && "fd" in handle ? handle.fd : undefined;
  if (typeof fd !== "number" || fd < 0) throw new LinuxError("EBADF", "getsockopt", "connection");
  const value = Buffer.alloc(12);
  const size = Buffer.alloc(4);
  size.writeUInt32LE(value.length);
  getsockopt.sync(`descriptor ${fd}`, fd, solSocket, soPeerCred, value, size);
  return { pid: value.readInt32LE(0), uid: value.readUInt32LE(4), gid: value.readUInt32LE(8) };
}
