export * from "./gen/containerd/types/mount_pb.ts";
