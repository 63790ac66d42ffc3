import type { ContainerdLine, PrivateContainerd } from "@aeon/standalone";
import { temporaryFolder } from "../temporary-folder.ts";
import type { Cluster } from "./api-server-types.ts";
import type { ClusterNetwork } from "./cluster-network.ts";
import { createControlGroup, createKubelet, type Kubelet } from "./kubelet.ts";
import { NodeAgent, type NodeAgentOptions } from "./node-agent.ts";
import { createNodeNamespace, type NodeNamespace } from "./node-namespace.ts";
import { importImages, startRuntime } from "./node-runtime.ts";

export interface NodeOptions extends NodeAgentOptions {
  /** Must be among the nodes that the API server was started with. */
  readonly name: string;
  /** From 1; decides addresses. */
  readonly index: number;
  readonly cluster: Cluster;
  readonly network: ClusterNetwork;
  readonly kubelet?: Readonly<Record<string, unknown>>;
  readonly containerd?: ContainerdLine;
  /** OCI layout tars to import beside busybox and pause. */
  readonly images?: readonly string[];
}

/** A real node: kubelet, containerd and the agent as its snapshotter, in namespaces of their own. */
export interface ClusterNode extends AsyncDisposable {
  readonly name: string;
  readonly folder: string;
  readonly namespace: NodeNamespace;
  readonly containerd: PrivateContainerd;
  readonly kubelet: Kubelet;
  /** `http://host:port` of the agent's metrics and health. */
  readonly metrics: string;
  /** Path of the agent's admin socket. */
  readonly adminSocket: string;
  /** The agent's process id; undefined while it is down. */
  readonly agentPid: number | undefined;
  startAgent(): Promise<void>;
  killAgent(): Promise<void>;
  /** Ends the agent in order and starts another build of it, as an upgrade does. */
  replaceAgent(program: string): Promise<void>;
  /** The end of what the agent wrote. */
  agentLog(): Promise<string>;
  /** Everything of the node dies at once, as when its power fails; it stays dead. */
  kill(): Promise<void>;
}

/** Starts a node and resolves when the API server calls it Ready. */
export async function startNode(options: NodeOptions): Promise<ClusterNode> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await temporaryFolder(`n${options.index}`));
  const namespace = stack.use(await createNodeNamespace(options.network, options.index, folder.path));
  const controlGroup = stack.use(await createControlGroup(options.name));
  const agent = new NodeAgent(options, folder.path, namespace);
  stack.defer(() => agent.end("SIGTERM"));
  await agent.start();
  const containerd = stack.use(
    await startRuntime({ ...options, folder: folder.path, namespace, snapshotter: "aeon" }),
  );
  await importImages({ containerd, folder: folder.path, images: options.images ?? [], snapshotter: "aeon" });
  const kubelet = stack.use(
    await createKubelet({
      name: options.name,
      cluster: options.cluster,
      namespace,
      folder: folder.path,
      runtime: containerd.address,
      controlGroup: controlGroup.name,
      ...(options.kubelet && { config: options.kubelet }),
    }),
  );
  await kubelet.start();
  const owned = stack.move();
  return {
    name: options.name,
    folder: folder.path,
    namespace,
    containerd,
    kubelet,
    metrics: `http://${namespace.address}:9464`,
    adminSocket: agent.paths.admin,
    get agentPid() {
      return agent.pid;
    },
    startAgent: () => agent.start(),
    killAgent: () => agent.end("SIGKILL"),
    async replaceAgent(program) {
      await agent.end("SIGTERM");
      await agent.start(program);
    },
    agentLog: () => agent.logTail(),
    async kill() {
      await Promise.all([kubelet.kill(), agent.end("SIGKILL"), containerd.kill()]);
      await containerd[Symbol.asyncDispose]();
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
