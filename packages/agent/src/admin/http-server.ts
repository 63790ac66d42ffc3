import { once } from "node:events";
import { rm } from "node:fs/promises";
import { createServer } from "node:net";
import { setTimeout } from "node:timers/promises";
import { bindPrivately, isServed } from "./unix-socket.ts";
import { errors } from "./errors.ts";
import { HttpFront, type HttpHandler } from "./http-front.ts";

export type { HttpHandler } from "./http-front.ts";

const maxConnections = 128;
/** Milliseconds that calls get to finish on shutdown. */
const graceMs = 2_000;

/**
 * Serves HTTP/2 (prior knowledge) and HTTP/1.1 on one Unix socket of mode 0600. `handlerOf` gets a signal that is
 * aborted on shutdown. Throws `ADMIN_SOCKET_IN_USE` when another process answers on the path.
 */
export async function serveHttp(
  path: string,
  handlerOf: (shutdown: AbortSignal) => HttpHandler,
): Promise<AsyncDisposable> {
  if (await isServed(path))
    throw errors.ADMIN_SOCKET_IN_USE(
      `another process serves ${path}; stop it or choose another state folder`,
      {
        details: { path },
      },
    );
  const shutdown = new AbortController();
  const front = new HttpFront<undefined>(handlerOf(shutdown.signal));
  const server = createServer((socket) => front.accept(socket, undefined));
  server.maxConnections = maxConnections;
  await bindPrivately(server, path);

  const stop = async (): Promise<void> => {
    const closed = once(server, "close");
    // First the name, so that a successor which binds it meanwhile keeps it.
    await rm(path, { force: true });
    server.close();
    shutdown.abort(new Error("the agent is stopping"));
    front.stop();
    await Promise.race([closed, setTimeout(graceMs, undefined, { ref: false })]);
    front.destroy();
    await closed;
  };
  let stopping: Promise<void> | undefined;
  return { [Symbol.asyncDispose]: () => (stopping ??= stop()) };
}
