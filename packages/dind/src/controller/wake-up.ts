import { rm } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { once } from "node:events";

/** Connections that wait at most for a DinD container to come up; more are refused. */
const mostWaiting = 64;

/**
 * Stands in for a dockerd that does not run yet: listens where it will, calls `wake` at the first connection, and
 * hands all that came meanwhile to the real one.
 */
export class WakeUp implements AsyncDisposable {
  readonly #server: Server;
  readonly #waiting = new Set<Socket>();
  readonly #path: string;
  #woken = false;

  private constructor(path: string, wake: () => void) {
    this.#path = path;
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
      if (this.#waiting.size >= mostWaiting) return void client.destroy();
      this.#waiting.add(client);
      client.once("close", () => this.#waiting.delete(client));
      client.on("error", () => client.destroy());
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
    made.#server.listen(path);
    await once(made.#server, "listening");
    return made;
  }

  /** Stops listening, which frees the path for dockerd; those that wait go on waiting. */
  release(): void {
    if (this.#server.listening) this.#server.close();
  }

  /** Connects those that wait to the dockerd that now serves. */
  handOver(): void {
    for (const client of this.#waiting) {
      const upstream = connect({ path: this.#path, allowHalfOpen: true });
      upstream.on("error", () => client.destroy());
      client.once("close", () => upstream.destroy());
      upstream.once("close", () => client.destroy());
      client.pipe(upstream);
      upstream.pipe(client);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release();
    for (const client of this.#waiting) client.destroy();
  }
}
