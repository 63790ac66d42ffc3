import type { Caller } from "@aeon/core";
import { createGrpcClient } from "./grpc/client.ts";
import type { GrpcChannel } from "./grpc/channel.ts";
import type { AnyService, GrpcClient } from "./grpc/service-types.ts";

/** A channel together with the namespace and lease that calls on it carry. */
export class Connection {
  readonly channel: GrpcChannel;
  readonly caller: Caller;
  readonly #clients = new Map<string, unknown>();

  constructor(channel: GrpcChannel, caller: Caller) {
    this.channel = channel;
    this.caller = caller;
  }

  /** The typed client of one service; made once. */
  service<Service extends AnyService>(service: Service): GrpcClient<Service> {
    const known = this.#clients.get(service.typeName) as GrpcClient<Service> | undefined;
    if (known !== undefined) return known;
    const made = createGrpcClient(service, this.channel, this.caller);
    this.#clients.set(service.typeName, made);
    return made;
  }

  /** The same channel for another namespace or lease. */
  as(caller: Caller): Connection {
    return new Connection(this.channel, { ...this.caller, ...caller });
  }
}
