import type { AeonError, Logger } from "@aeon/core";
import { admin, dind } from "@aeon/proto";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { errorInterceptor } from "./connect-error.ts";
import { serveHttp, type HttpHandler } from "./http-server.ts";
import type { DindServiceFunctions } from "./dind.ts";
import type { AdminServiceFunctions } from "./service.ts";

export interface AdminServerOptions {
  /** Absolute path of the socket; its folder exists. */
  readonly path: string;
  readonly service: AdminServiceFunctions;
  /** Docker in containers; left out in tests of the rest. */
  readonly dindService?: DindServiceFunctions;
  readonly log: Logger;
}

/** Largest request: a filter or a name is far smaller. */
const maxRequestBytes = 1024 * 1024;

/** Failures that somebody has to look into; the others are the caller's and are answered only. */
const severe: ReadonlySet<string> = new Set([
  "internal",
  "unknown",
  "data-loss",
] satisfies AeonError["code"][]);

/** Answers the admin API as gRPC, gRPC-Web and Connect; streams end when the signal is aborted. */
export function adminHandler(
  { service, dindService, log }: Omit<AdminServerOptions, "path">,
  signal: AbortSignal,
): HttpHandler {
  const report = (method: string, error: AeonError): void => {
    const facts = { method, reason: error.reason, error: error.message };
    if (severe.has(error.code)) log.error({ ...facts, err: error }, "admin call failed");
    else log.debug(facts, "admin call refused");
  };
  return connectNodeAdapter({
    routes: (router) => {
      router.service(admin.AdminService, service);
      if (dindService !== undefined) router.service(dind.DindService, dindService);
    },
    interceptors: [errorInterceptor(report)],
    readMaxBytes: maxRequestBytes,
    // Compressing for a peer on the same host only costs time.
    acceptCompression: [],
    shutdownSignal: signal,
  });
}

/**
 * Serves the admin API on a Unix socket of mode 0600 as gRPC, gRPC-Web and Connect (JSON, HTTP/1.1 too).
 * A stale socket file is replaced; throws `ADMIN_SOCKET_IN_USE` when somebody answers on it. Disposing ends
 * streams, lets calls finish for two seconds and removes the socket.
 */
export async function serveAdmin({ path, ...options }: AdminServerOptions): Promise<AsyncDisposable> {
  return serveHttp(path, (signal) => adminHandler(options, signal));
}
