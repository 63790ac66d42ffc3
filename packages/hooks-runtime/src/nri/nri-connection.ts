import { connect, type Socket } from "node:net";
import { once } from "node:events";
import { errorMessage } from "@aeon/core";
import { callTtrpc, Mux, serveTtrpc, TtrpcConnection, ttrpcRouter } from "@aeon/containerd/ttrpc";
import {
  Plugin,
  Runtime,
  type Container,
  type PodSandbox,
  type CreateContainerResponseSchema,
} from "@aeon/proto/nri";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { errors } from "../errors.ts";

export interface NriOptions {
  /** Path of the runtime's NRI socket. */
  readonly socket: string;
  readonly name: string;
  /** Two digits; plugins with lower ones are asked first. */
  readonly index: string;
  /** Asked for each new container; the runtime waits two seconds at most, and all its other calls meanwhile. */
  readonly createContainer: (
    pod: PodSandbox,
    container: Container,
  ) => Promise<MessageInitShape<typeof CreateContainerResponseSchema>>;
  /** Told once what exists when the runtime has registered the plugin. */
  readonly synchronize: (pods: readonly PodSandbox[], containers: readonly Container[]) => void;
}

/** A registered plugin. */
export interface NriConnection extends Disposable {
  readonly runtime: string;
  /** Resolves when the connection has ended. */
  readonly closed: Promise<void>;
}

/** Channels of the multiplexer. */
const pluginChannel = 1;
const runtimeChannel = 2;
/** CreateContainer only. Bits that a runtime does not know end the connection, and 0 means all of them. */
const createContainerEvent = 1 << 3;
/** A runtime gives plugins five seconds to register. */
const registrationMs = 5000;

/** Connects to a runtime and registers; resolves when it has told what exists. Rejects with `NRI_UNAVAILABLE`. */
export async function connectNri(options: NriOptions, signal: AbortSignal): Promise<NriConnection> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(registrationMs)]);
  const socket = connect(options.socket);
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  try {
    await once(socket, "connect", { signal: limit });
    const runtime = await register(socket, options, limit);
    return { runtime, closed, [Symbol.dispose]: () => void socket.destroy() };
  } catch (error) {
    socket.destroy();
    throw errors.NRI_UNAVAILABLE(`${options.socket}: ${errorMessage(error)}`, {
      cause: error,
      details: { socket: options.socket },
    });
  }
}

async function register(socket: Socket, options: NriOptions, limit: AbortSignal): Promise<string> {
  const { name, index, createContainer, synchronize } = options;
  const synchronized = Promise.withResolvers<void>();
  socket.once("close", () => synchronized.reject(new Error("the runtime closed the connection")));
  limit.addEventListener("abort", () => synchronized.reject(limit.reason), { once: true });
  // Both sides of the registration are awaited below; a close in between must not be an unhandled rejection.
  synchronized.promise.catch(() => {});
  let runtime = "";
  const pods: PodSandbox[] = [];
  const containers: Container[] = [];
  const mux = new Mux(socket);
  const router = ttrpcRouter(Plugin, {
    configure: async ({ runtimeName, runtimeVersion }) => {
      runtime = `${runtimeName} ${runtimeVersion}`.trim();
      return { events: createContainerEvent };
    },
    synchronize: async (request) => {
      pods.push(...request.pods);
      containers.push(...request.containers);
      if (!request.more) {
        synchronize(pods.splice(0), containers.splice(0));
        synchronized.resolve();
      }
      return { more: request.more };
    },
    createContainer: async ({ pod, container }) =>
      pod === undefined || container === undefined ? {} : createContainer(pod, container),
    shutdown: async () => ({}),
  });
  // Served before registering: the runtime configures the plugin before it answers the registration.
  serveTtrpc(mux.channel(pluginChannel), router);
  const client = new TtrpcConnection(mux.channel(runtimeChannel));
  await callTtrpc(
    client,
    Runtime.method.registerPlugin,
    { pluginName: name, pluginIdx: index },
    { signal: limit },
  );
  await synchronized.promise;
  return runtime;
}
