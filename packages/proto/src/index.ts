export * as admin from "./gen/aeon/v1/admin_pb.ts";
export * as errorDetails from "./gen/google/rpc/error_details_pb.ts";
export * as snapshots from "./gen/containerd/services/snapshots/v1/snapshots_pb.ts";
export * as types from "./types.ts";
