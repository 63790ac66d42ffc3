import { rm } from "node:fs/promises";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { linux } from "@aeon/core";
import { connectSocket } from "../system/connect-socket.ts";

/** Connections that wait at most for a DinD container to come up; more are refused. */
const mostWaiting = 64;
/** Milliseconds for connections that the kernel has taken already when the real socket is in place. */
const lateMs = 200;

/**
 * Stands in for a dockerd that does not run yet: listens where it will, calls `wake` at the first connection, and
 * hands all that came meanwhile to the real one.
 */
export class WakeUp implements AsyncDisposable {
  readonly #server: Server;
  readonly #waiting = new Set<Socket>();
  readonly #path: string;
  #woken = false;
  #served = false;

  private constructor(path: string, wake: () => void) {
    this.#path = path;
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
      client.on("error", () => client.destroy());
      if (this.#waiting.size >= mostWaiting) return void client.destroy();
      if (this.#served) return this.#connect(client);
      this.#waiting.add(client);
      client.once("close", () => this.#waiting.delete(client));
      if (!this.#woken) {
        this.#woken = true;
        wake();
      }
      return undefined;
    });
  }

  static async listen(path: string, wake: () => void): Promise<WakeUp> {
    const made = new WakeUp(path, wake);
    await rm(path, { force: true });
    // Closing a server that listens by path would remove what is there then: dockerd's socket.
    made.#server.listen({ fd: linux.listenUnixSync(path, 0o600) });
    await once(made.#server, "listening");
    return made;
  }

  /** Connects those that wait to the dockerd whose socket has taken this one's place, and ends. */
  handOver(): void {
    this.#served = true;
    for (const client of this.#waiting) this.#connect(client);
    setTimeout(() => this.#server.close(), lateMs).unref();
  }

  #connect(client: Socket): void {
    const upstream = connectSocket(this.#path, { allowHalfOpen: true });
    upstream.on("error", () => client.destroy());
    client.once("close", () => upstream.destroy());
    upstream.once("close", () => client.destroy());
    client.pipe(upstream);
    upstream.pipe(client);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    for (const client of this.#waiting) client.destroy();
  }
}
