export {
  cniPlugins,
  containerdVersions,
  debianFile,
  launchContainerd,
  testCache,
  type LaunchOptions,
} from "./launch-containerd.ts";
export { leftBehind, temporaryFolder, type TemporaryFolder } from "./temporary-folder.ts";
export type { PrivateContainerd, ProxySnapshotter } from "@aeon/standalone";
export { pauseImage, sandboxImage } from "./pause-image.ts";
export { startCriNode, type CriNode, type PodOptions, type Sandbox } from "./cri-node.ts";
export { busyboxImage, stackedLayers, type StackedLayers, type TestImageOptions } from "./busybox-image.ts";
export { runReadmeExample } from "./readme-example.ts";
export { describeTree, difference, type DescribeOptions } from "./describe-tree.ts";
export { growFile, growTree, type GrowOptions } from "./grow-tree.ts";
export { seeded } from "./seeded.ts";
export { launchCephGateway, type CephGateway } from "./ceph-gateway.ts";
export { makeBucket, type S3Access } from "./make-bucket.ts";
export {
  launchFaultProxy,
  type Direction,
  type Fault,
  type FaultProxy,
  type FaultProxyOptions,
} from "./fault-proxy.ts";
export {
  dockerTree,
  launchDockerd,
  type DockerdOptions,
  type DockerLine,
  type PrivateDockerd,
} from "./launch-dockerd.ts";
export { kubernetesProgram } from "./kubernetes/binaries.ts";
export { expiredToken } from "./kubernetes/expired-token.ts";
export { startEtcd, type Etcd } from "./kubernetes/etcd.ts";
export { startApiServer } from "./kubernetes/api-server.ts";
export { joinCluster } from "./kubernetes/join-cluster.ts";
export { serviceAccountIssuer } from "./kubernetes/request-token.ts";
export type {
  ApiServer,
  ApiServerOptions,
  Cluster,
  ClusterUser,
  TokenOptions,
} from "./kubernetes/api-server-types.ts";
export { ApiClient, type ApiAnswer } from "./kubernetes/api-client.ts";
export {
  startControlPlane,
  type ControlPlane,
  type ControlPlaneOptions,
} from "./kubernetes/control-plane.ts";
export { writeKubeconfig, type Access } from "./kubernetes/kubeconfig.ts";
export { createClusterNetwork, type ClusterNetwork } from "./kubernetes/cluster-network.ts";
export { startNode, type ClusterNode, type NodeOptions } from "./kubernetes/node.ts";
export { startPlainNode, type PlainNode, type PlainNodeOptions } from "./kubernetes/plain-node.ts";
