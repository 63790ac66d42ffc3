import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { ServerCredentials, type Server } from "@grpc/grpc-js";

/**
 * The connections of a gRPC server on a Unix socket. grpc-js 1.14 itself loses its count when a client leaves
 * while the server shuts down, and then never ends; sockets tell reliably when they close.
 */
export class Connections {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #listener = createServer();

  constructor(server: Server) {
    this.#server = server;
    const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
    this.#listener.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
      injector.injectConnection(socket);
    });
  }

  async listen(path: string): Promise<void> {
    this.#listener.listen(path);
    await once(this.#listener, "listening");
  }

  /** Accepts nothing more, lets calls under way finish for some milliseconds, then cuts what is left. */
  async drain(limitMs: number): Promise<void> {
    // Does not resolve before the last socket is closed.
    const closed = new Promise<void>((resolve) => this.#listener.close(() => resolve()));
    this.#server.tryShutdown(() => {});
    const late = setTimeout(() => this.#cut(), limitMs);
    await closed;
    clearTimeout(late);
    this.#server.forceShutdown();
  }

  #cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
