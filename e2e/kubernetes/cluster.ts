import { join } from "node:path";
import { bundlePrograms } from "@aeon/standalone";
import {
  createClusterNetwork,
  joinCluster,
  startControlPlane,
  startNode,
  startPlainNode,
  temporaryFolder,
  testCache,
  type Cluster,
  type ClusterNetwork,
  type ClusterNode,
  type ControlPlane,
  type ControlPlaneOptions,
  type NodeOptions,
  type PlainNode,
  type PlainNodeOptions,
} from "@aeon/testkit";

/** A cluster on this machine, to which nodes are added. */
export interface TestCluster extends AsyncDisposable {
  readonly server: Cluster;
  /** The same when it was started for the tests, which may stop it then. */
  readonly own?: ControlPlane;
  readonly network: ClusterNetwork;
  /** Folder of the store that all nodes share, as an NFS mount would be. */
  readonly store: string;
  readonly programs: { readonly agent: string; readonly aeonctl: string };
  /** Adds a node that is owned by the cluster. */
  addNode(name: string, options?: Partial<NodeOptions>): Promise<ClusterNode>;
  /** Adds a node without aeon that is owned by the cluster. */
  addPlainNode(name: string, options?: Partial<PlainNodeOptions>): Promise<PlainNode>;
}

export const nodeNames = ["node-a", "node-b"] as const;

const deploy = join(import.meta.dirname, "../../deploy");

/** What the manifests give an agent: its definitions and an account with its rights. Answers the account's kubeconfig. */
async function installAgents(server: Cluster): Promise<string> {
  const base = ["namespace", "service-account", "roles", "runtime-class"].flatMap((name) => [
    "-f",
    join(deploy, `kustomize/base/${name}.yaml`),
  ]);
  await server.kubectl(["apply", "-k", join(deploy, "crds")]);
  await server.kubectl(["wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"]);
  await server.kubectl(["apply", ...base]);
  return await server.serviceAccountKubeconfig("aeon-system", "aeon-agent");
}

/** Where the scenarios that stop an API server cannot run. */
export const notOurs = "KUBECONFIG names a cluster that is not the tests' to stop";

/** The cluster that KUBECONFIG names, or else a control plane of the tests' own. */
export async function openCluster(
  options?: ControlPlaneOptions,
): Promise<{ readonly server: Cluster; readonly own?: ControlPlane }> {
  const given = process.env["KUBECONFIG"];
  if (given !== undefined && given !== "") return { server: await joinCluster(given) };
  const own = await startControlPlane(options);
  return { server: own, own };
}

/** Opens the cluster, with a bridge on this machine for its nodes. */
export async function startCluster(): Promise<TestCluster> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await temporaryFolder("k8s"));
  const programs = await bundlePrograms({
    workspace: join(import.meta.dirname, "../.."),
    target: join(folder.path, "programs"),
    lock: join(testCache, "bundle.lock"),
    signal: new AbortController().signal,
  });
  const network = stack.use(await createClusterNetwork());
  const { server, own } = await openCluster({ address: network.gateway, nodes: nodeNames });
  stack.use(server);
  const kubeconfig = await installAgents(server);
  const store = join(folder.path, "store");
  const nodes = stack.use(new AsyncDisposableStack());
  let index = 0;
  const owned = stack.move();
  return {
    server,
    ...(own && { own }),
    network,
    store,
    programs,
    async addNode(name, options = {}) {
      index += 1;
      return nodes.use(
        await startNode({
          name,
          index,
          cluster: server,
          network,
          agent: programs.agent,
          nri: true,
          ...options,
          config: {
            kubernetes: { kubeconfig, "node-name": name, heartbeat: "2s" },
            backup: { "default-policy": "all", store: { type: "posix", path: store } },
            ...options.config,
          },
        }),
      );
    },
    async addPlainNode(name, options = {}) {
      index += 1;
      return nodes.use(await startPlainNode({ name, index, cluster: server, network, ...options }));
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
