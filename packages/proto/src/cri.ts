export * from "./gen/runtime/v1/api_pb.ts";
