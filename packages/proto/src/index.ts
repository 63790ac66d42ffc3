export * as snapshots from "./gen/containerd/services/snapshots/v1/snapshots_pb.ts";
export * as types from "./types.ts";
