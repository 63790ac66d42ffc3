export { GrpcChannel, maxMessageBytes, type ChannelAddress } from "./channel.ts";
export { createGrpcClient } from "./client.ts";
export { served, type ServedService } from "./handlers.ts";
export { serveGrpc, type GrpcServer, type ServeOptions } from "./serve.ts";
export { methodPath, serviceDefinition } from "./service-definition.ts";
export type { AnyService, CallOptions, GrpcClient, GrpcHandlers, ServedCall } from "./service-types.ts";
export { errorOfStatus, statusOfError } from "./status.ts";
