import { codeOfGrpcStatus, errnoOf, toAeonError, AeonError } from "@aeon/core";
import { admin, dind, errorDetails } from "@aeon/proto";
import { Code, ConnectError, createClient, type Client, type Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { errors } from "./errors.ts";

export type AdminClient = Client<typeof admin.AdminService>;

/** A client of the agent behind the socket. It connects with the first call; a call may take `timeoutMs`. */
export const connectAgent = (address: string, timeoutMs: number): AdminClient =>
  createClient(admin.AdminService, transport(address, timeoutMs));

/** The part of the agent that runs Docker in containers. */
export type DindClient = Client<typeof dind.DindService>;

/** As {@link connectAgent}, for Docker in containers. */
export const connectDind = (address: string, timeoutMs: number): DindClient =>
  createClient(dind.DindService, transport(address, timeoutMs));

const transport = (address: string, timeoutMs: number): Transport =>
  createConnectTransport({
    baseUrl: "http://localhost",
    httpVersion: "1.1",
    nodeOptions: { socketPath: address },
    ...(timeoutMs > 0 && { defaultTimeoutMs: timeoutMs }),
    // Compressing for a peer on the same host only costs time.
    acceptCompression: [],
  });

/** Says any failure of a call in aeon's terms: the agent's own code and reason, or why there is no agent. */
export function fromCall(error: unknown, address: string): AeonError {
  if (!(error instanceof ConnectError)) return toAeonError(error, "aeonctl");
  const info = error.findDetails(errorDetails.ErrorInfoSchema)[0];
  if (info !== undefined)
    return new AeonError(codeOfGrpcStatus(error.code), info.reason, error.rawMessage, {
      cause: error,
      details: info.metadata,
    });
  return connectionFailure(error, address) ?? foreign(error, address);
}

const startHint = "start the agent (aeon agent), or name its socket with --address or AEON_ADDRESS";

function connectionFailure(error: ConnectError, address: string): AeonError | undefined {
  const options = { cause: error, details: { address } };
  const errno = errnoOf(error.cause);
  switch (errno) {
    case undefined:
      return undefined;
    case "ENOENT":
      return errors.AGENT_UNREACHABLE(
        `no agent at ${address}: there is no such socket; ${startHint}`,
        options,
      );
    case "ECONNREFUSED":
      return errors.AGENT_UNREACHABLE(`no agent at ${address}: nobody listens there; ${startHint}`, options);
    case "EACCES":
    case "EPERM":
      return errors.AGENT_FORBIDDEN(`${address} may not be opened; run aeonctl as root`, options);
    default:
      return errors.AGENT_UNREACHABLE(
        `lost the agent at ${address} (${errno}); see whether it still runs and try again`,
        options,
      );
  }
}

function foreign(error: ConnectError, address: string): AeonError {
  if (error.code === Code.Unimplemented || error.code === Code.Unknown || error.code === Code.Internal)
    return errors.AGENT_FOREIGN(
      `what answers at ${address} does not speak aeon's admin API (${error.rawMessage}); name the admin socket with --address`,
      { cause: error, details: { address } },
    );
  if (error.code === Code.DeadlineExceeded)
    return errors.AGENT_SILENT(
      `the agent at ${address} did not answer in time; see its log, or wait longer with --timeout`,
      { cause: error, details: { address } },
    );
  const code = codeOfGrpcStatus(error.code);
  return new AeonError(code, `GRPC_${code.toUpperCase().replaceAll("-", "_")}`, error.rawMessage, {
    cause: error,
  });
}
