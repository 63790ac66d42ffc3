import { Client, connectivityState, credentials, type ChannelOptions } from "@grpc/grpc-js";

/** Largest message either way, in bytes; containerd's own limit. */
export const maxMessageBytes = 16 * 1024 * 1024;

/** Message limits that both ends must raise from gRPC's 4 MiB. */
export const messageLimits = {
  "grpc.max_receive_message_length": maxMessageBytes,
  "grpc.max_send_message_length": maxMessageBytes,
} as const satisfies ChannelOptions;

/** Milliseconds that a call waits for a server that is being connected to again; several attempts fall into it. */
const reconnectMs = 3000;

export interface ChannelAddress {
  /** Absolute path of the server's Unix socket. */
  readonly address: string;
  /** grpc-js settings on top of aeon's. */
  readonly channelOptions?: ChannelOptions;
}

/** One lazily connected HTTP/2 connection to a Unix socket, shared by the clients of all services behind it. */
export class GrpcChannel implements Disposable {
  readonly address: string;
  readonly raw: Client;

  constructor({ address, channelOptions }: ChannelAddress) {
    this.address = address;
    this.raw = new Client(`unix:${address}`, credentials.createInsecure(), {
      ...messageLimits,
      "grpc.default_authority": "localhost",
      "grpc.use_local_subchannel_pool": 1,
      "grpc.service_config_disable_resolution": 1,
      "grpc.enable_http_proxy": 0,
      "grpc.enable_channelz": 0,
      "grpc.initial_reconnect_backoff_ms": 100,
      // A local server is back at once after its restart; attempts cost next to nothing.
      "grpc.max_reconnect_backoff_ms": 500,
      ...channelOptions,
    });
  }

  /**
   * Resolves when a connection that failed is there again, at the latest after 3 s or at `deadline` (milliseconds since
   * the epoch); undefined when none failed. A call between two attempts would fail although its server is back.
   */
  reconnected(deadline = Infinity): Promise<void> | undefined {
    if (this.raw.getChannel().getConnectivityState(false) !== connectivityState.TRANSIENT_FAILURE)
      return undefined;
    const { promise, resolve } = Promise.withResolvers<void>();
    // Without a connection the call itself tells best why.
    this.raw.waitForReady(Math.min(deadline, Date.now() + reconnectMs), () => resolve());
    return promise;
  }

  /** Ends the connection; calls under way fail with `canceled` or `unavailable`. */
  [Symbol.dispose](): void {
    this.raw.close();
  }
}
