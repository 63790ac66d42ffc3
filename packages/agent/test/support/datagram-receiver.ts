import { closeSync } from "node:fs";
import { libcFunction } from "../../../core/src/linux/libc.ts";

const socket = libcFunction("int socket(int domain, int type, int protocol)");
const bind = libcFunction("int bind(int fd, void *address, uint32_t size)");
const recv = libcFunction("long recv(int fd, void *data, size_t size, int flags)");
const shutdown = libcFunction("int shutdown(int fd, int how)");

/** A datagram socket as systemd's: a path, or an abstract name that begins with `@`. */
export class DatagramReceiver implements Disposable {
  readonly #fd: number;

  constructor(address: string) {
    const name = Buffer.from(address.startsWith("@") ? `\0${address.slice(1)}` : `${address}\0`);
    const family = Buffer.from([1, 0]);
    const target = Buffer.concat([family, name]);
    this.#fd = socket.sync(address, 1, 2, 0);
    bind.sync(address, this.#fd, target, target.length);
  }

  /** The next datagram's lines. */
  async next(): Promise<string[]> {
    const buffer = Buffer.alloc(4096);
    const size = await recv.async("datagram", this.#fd, buffer, buffer.length, 0);
    return buffer.toString("utf8", 0, size).split("\n");
  }

  [Symbol.dispose](): void {
    // Wakes a thread that still waits in recv.
    try {
      shutdown.sync("datagram", this.#fd, 2);
    } finally {
      closeSync(this.#fd);
    }
  }
}
