export * from "./gen/nri/v1alpha1/nri_pb.ts";
