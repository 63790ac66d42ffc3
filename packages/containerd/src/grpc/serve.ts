import { statSync, unlinkSync } from "node:fs";
import { chmod, link, mkdtemp, rm, stat, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { errnoOf } from "@aeon/core";
import { errors } from "../errors.ts";
import { messageLimits } from "./channel.ts";
import { implementationOf, type ServedService } from "./handlers.ts";
import { serviceDefinition } from "./service-definition.ts";
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
  // Channelz stays on: without it grpc-js 1.14 forgets its sessions and forceShutdown ends none of them.
  const server = new Server(messageLimits);
  for (const { service, handlers } of services)
    server.addService(serviceDefinition(service), implementationOf(service, handlers, options.onError));
  const inode = await publish(server, socket, mode).catch((error: unknown) => {
    server.forceShutdown();
    throw error;
  });
  const onExit = () => removeOwn(socket, inode);
  process.once("exit", onExit);
  let closing: Promise<void> | undefined;
  const close = async () => {
    process.removeListener("exit", onExit);
    removeOwn(socket, inode);
    await drain(server, drainMs);
  };
  return { socket, [Symbol.asyncDispose]: () => (closing ??= close()) };
}

/** Binds in a private folder and links the ready socket to its path; returns its inode. */
async function publish(server: Server, socket: string, mode: number): Promise<number> {
  const folder = await mkdtemp(join(dirname(socket), ".s-"));
  const hidden = join(folder, "s");
  try {
    checkSocketPath(hidden);
    await bind(server, hidden);
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

function bind(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), (error) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}

/** Removes the socket unless another server has replaced it. Synchronous: also runs when the process exits. */
function removeOwn(socket: string, inode: number): void {
  try {
    if (statSync(socket).ino === inode) unlinkSync(socket);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
  }
}

async function drain(server: Server, limit: number): Promise<void> {
  const drained = new Promise<boolean>((resolve) => server.tryShutdown(() => resolve(true)));
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, limit, false);
  });
  const finished = await Promise.race([drained, late]);
  clearTimeout(timer);
  if (finished) return;
  server.forceShutdown();
  await drained;
}
