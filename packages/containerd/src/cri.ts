import { ImageService, RuntimeService } from "@aeon/proto/cri";
import { GrpcChannel, type ChannelAddress } from "./grpc/channel.ts";
import { createGrpcClient } from "./grpc/client.ts";
import { checkSocketPath } from "./grpc/socket-path.ts";
import type { GrpcClient } from "./grpc/service-types.ts";

/** A runtime seen through Kubernetes' Container Runtime Interface v1. */
export interface CriClient extends AsyncDisposable {
  readonly runtime: GrpcClient<typeof RuntimeService>;
  readonly image: GrpcClient<typeof ImageService>;
}

/** Connects with the first call; fails then with `unimplemented` when the runtime does not serve CRI v1. */
export function connectCri(target: ChannelAddress): CriClient {
  checkSocketPath(target.address);
  const channel = new GrpcChannel(target);
  return {
    runtime: createGrpcClient(RuntimeService, channel),
    image: createGrpcClient(ImageService, channel),
    async [Symbol.asyncDispose]() {
      channel[Symbol.dispose]();
    },
  };
}
