import { served, serveGrpc, type GrpcServer } from "@aeon/containerd";
import { errorMessage, Lifetime, silentLogger, type Logger, type Snapshotter } from "@aeon/core";
import { snapshots } from "@aeon/proto";
import { snapshotHandlers } from "./handlers.ts";

export interface ServeSnapshotterOptions {
  /** Stays open when the server is disposed. */
  readonly snapshotter: Snapshotter;
  /** Absolute path of the Unix socket; its folder must exist. */
  readonly socket: string;
  readonly log?: Logger;
  /** Ends the server as disposing does. */
  readonly signal?: AbortSignal;
  /** Milliseconds that calls under way get to finish. Default 10 000. */
  readonly drainMs?: number;
}

/**
 * Serves a snapshotter to containerd's proxy plugin (`containerd.services.snapshots.v1.Snapshots`). The socket
 * appears when the server is ready and disappears before it drains. Throws `SOCKET_IN_USE`.
 */
export async function serveSnapshotter(options: ServeSnapshotterOptions): Promise<GrpcServer> {
  const { snapshotter, socket, log = silentLogger, signal, drainMs } = options;
  signal?.throwIfAborted();
  const life = new Lifetime();
  const server = life.use(
    await serveGrpc({
      socket,
      services: [served(snapshots.Snapshots, snapshotHandlers(snapshotter, log))],
      ...(drainMs === undefined ? {} : { drainMs }),
      onError: (error, method) => log.error({ method, error: errorMessage(error) }, "snapshot call failed"),
    }),
  );
  const close = (): Promise<void> => life[Symbol.asyncDispose]();
  const end = (): void => {
    close().catch((error: unknown) =>
      log.error({ error: errorMessage(error) }, "snapshot server did not end"),
    );
  };
  signal?.addEventListener("abort", end, { once: true });
  life.defer(() => signal?.removeEventListener("abort", end));
  return { socket: server.socket, [Symbol.asyncDispose]: close };
}
