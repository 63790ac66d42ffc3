import { statSync, unlinkSync } from "node:fs";
import { chmod, link, mkdtemp, rm, stat, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Server, type ServiceDefinition } from "@grpc/grpc-js";
import { errnoOf } from "@aeon/core";
import { errors } from "../errors.ts";
import { messageLimits } from "./channel.ts";
import { Connections } from "./connections.ts";
import { implementationOf, type ServedService } from "./handlers.ts";
import { servedMethod } from "./malformed.ts";
import { methodsOf, type AnyService } from "./service-types.ts";
import { checkSocketPath, clearStaleSocket } from "./socket-path.ts";

export interface ServeOptions {
  /** Absolute path of the Unix socket; its folder must exist. */
  readonly socket: string;
  /** Made with `served(service, handlers)`. */
  readonly services: readonly ServedService[];
  /** Permission bits of the socket; 0600 when absent. */
  readonly mode?: number;
  /** Milliseconds that calls under way get to finish on dispose; 10 000 when absent. */
  readonly drainMs?: number;
  /** Told of every failure that no status can carry. */
  readonly onError?: (error: unknown, method: string) => void;
}

/** A running gRPC server; disposing drains and ends it and removes its socket. */
export interface GrpcServer extends AsyncDisposable {
  readonly socket: string;
}

/**
 * Serves on a Unix socket. The path appears when the server is ready, with its final mode, and disappears
 * before the server stops. Throws `SOCKET_IN_USE` when another process listens there; a left-over socket is
 * replaced.
 */
export async function serveGrpc(options: ServeOptions): Promise<GrpcServer> {
  const { socket, services, mode = 0o600, drainMs = 10_000 } = options;
  checkSocketPath(socket);
  await clearStaleSocket(socket);
  const server = new Server({ ...messageLimits, "grpc.enable_channelz": 0 });
  for (const { service, handlers } of services)
    server.addService(definitionOf(service), implementationOf(service, handlers, options.onError));
  const connections = new Connections(server);
  const inode = await publish(connections, socket, mode).catch(async (error: unknown) => {
    await connections.drain(0);
    throw error;
  });
  const onExit = () => removeOwn(socket, inode);
  process.once("exit", onExit);
  let closing: Promise<void> | undefined;
  const close = async () => {
    process.removeListener("exit", onExit);
    removeOwn(socket, inode);
    await connections.drain(drainMs);
  };
  return { socket, [Symbol.asyncDispose]: () => (closing ??= close()) };
}

const definitionOf = (service: AnyService): ServiceDefinition =>
  Object.fromEntries(methodsOf(service).map((method) => [method.localName, servedMethod(method)]));

/** Binds in a private folder and links the ready socket to its path; returns its inode. */
async function publish(connections: Connections, socket: string, mode: number): Promise<number> {
  const folder = await mkdtemp(join(dirname(socket), ".s-"));
  const hidden = join(folder, "s");
  try {
    checkSocketPath(hidden);
    await connections.listen(hidden);
    await chmod(hidden, mode);
    await link(hidden, socket).catch((error: unknown) => {
      if (errnoOf(error) === "EEXIST")
        throw errors.SOCKET_IN_USE(`another process took ${socket}`, { cause: error });
      throw error;
    });
    const { ino } = await stat(socket);
    await unlink(hidden);
    return ino;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Removes the socket unless another server has replaced it. Synchronous: also runs when the process exits. */
function removeOwn(socket: string, inode: number): void {
  try {
    if (statSync(socket).ino === inode) unlinkSync(socket);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
  }
}
