export * from "./gen/ttrpc/v1/ttrpc_pb.ts";
