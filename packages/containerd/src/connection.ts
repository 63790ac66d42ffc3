import type { Caller } from "@aeon/core";
import { createGrpcClient } from "./grpc/client.ts";
import type { GrpcChannel } from "./grpc/channel.ts";
import type { AnyService, GrpcClient } from "./grpc/service-types.ts";

/** A channel together with the namespace and lease that calls on it carry. */
export class Connection {
  readonly channel: GrpcChannel;
  readonly caller: Caller;
  /** Where the pipes of processes are made; undefined for the system's folder for temporary files. */
  readonly ioFolder: string | undefined;

  constructor(channel: GrpcChannel, caller: Caller, ioFolder?: string) {
    this.channel = channel;
    this.caller = caller;
    this.ioFolder = ioFolder;
  }

  /** A typed client of one service; cheap to make. */
  service<Service extends AnyService>(service: Service): GrpcClient<Service> {
    return createGrpcClient(service, this.channel, this.caller);
  }

  /** The same channel for another namespace or lease. */
  as(caller: Caller): Connection {
    return new Connection(this.channel, { ...this.caller, ...caller }, this.ioFolder);
  }
}
