export { errors } from "./errors.ts";
export * from "./grpc/index.ts";
