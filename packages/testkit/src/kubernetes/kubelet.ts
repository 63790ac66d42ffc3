import { existsSync } from "node:fs";
import { glob, mkdir, readdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Daemon, mountsBelow, run, untilReady } from "@aeon/standalone";
import type { Cluster } from "./api-server-types.ts";
import { kubernetesProgram } from "./binaries.ts";
import type { NodeNamespace } from "./node-namespace.ts";

export interface KubeletOptions {
  readonly name: string;
  readonly cluster: Cluster;
  readonly namespace: NodeNamespace;
  readonly folder: string;
  /** Socket of the container runtime. */
  readonly runtime: string;
  /** Its root of control groups, from {@link createControlGroup}. */
  readonly controlGroup: string;
  /** Fields of KubeletConfiguration that differ from the tests' usual ones. */
  readonly config?: Readonly<Record<string, unknown>>;
}

/** A kubelet that runs in a node's namespaces. */
export interface Kubelet extends AsyncDisposable {
  start(): Promise<void>;
  kill(): Promise<void>;
  logTail(): Promise<string>;
}

const controllers = "/sys/fs/cgroup";

/**
 * A root of a node's control groups in every hierarchy. What outlives the node's containers, as filters of Docker do, is
 * killed when it is disposed of.
 */
export async function createControlGroup(node: string): Promise<AsyncDisposable & { readonly name: string }> {
  const name = `aeon-${node}-${process.pid}`;
  const groups = (await readdir(controllers)).map((controller) => join(controllers, controller, name));
  for (const group of groups) await mkdir(group, { recursive: true }).catch(() => {});
  return {
    name,
    async [Symbol.asyncDispose]() {
      for (const group of groups) await killIn(group);
      for (let look = 0; look < 100 && groups.some((group) => existsSync(group)); look += 1) {
        for (const group of groups) await removeGroup(group);
        await sleep(20);
      }
    },
  };
}

/** Prepares a kubelet with folders of its own; it is not started. */
export async function createKubelet(options: KubeletOptions): Promise<Kubelet> {
  const { name, cluster, namespace, folder, runtime } = options;
  const program = await kubernetesProgram("kubelet");
  const root = join(folder, "k");
  await mkdir(join(root, "manifests"), { recursive: true });
  const cgroup = options.controlGroup;
  const config = join(root, "config.json");
  await writeFile(
    config,
    JSON.stringify({
      apiVersion: "kubelet.config.k8s.io/v1beta1",
      kind: "KubeletConfiguration",
      address: namespace.address,
      healthzBindAddress: "127.0.0.1",
      authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
      authorization: { mode: "AlwaysAllow" },
      cgroupDriver: "cgroupfs",
      cgroupRoot: `/${cgroup}`,
      enforceNodeAllocatable: [],
      failSwapOn: false,
      oomScoreAdj: 0,
      makeIPTablesUtilChains: false,
      readOnlyPort: 0,
      resolvConf: "",
      nodeStatusUpdateFrequency: "2s",
      nodeLeaseDurationSeconds: 10,
      imageGCHighThresholdPercent: 100,
      evictionHard: { "memory.available": "1Mi" },
      syncFrequency: "5s",
      volumeStatsAggPeriod: "5s",
      ...options.config,
    }),
  );
  const [enter = "", ...entering] = namespace.enter;
  let daemon: Daemon | undefined;
  const kubelet = {
    async start(): Promise<void> {
      daemon = await Daemon.start({
        program: enter,
        args: [
          ...entering,
          program,
          `--config=${config}`,
          `--kubeconfig=${await cluster.kubeconfigOf(`system:node:${name}`)}`,
          "--container-runtime=remote",
          `--container-runtime-endpoint=unix://${runtime}`,
          `--hostname-override=${name}`,
          `--node-ip=${namespace.address}`,
          `--root-dir=${root}`,
          `--cert-dir=${join(root, "pki")}`,
          `--volume-plugin-dir=${join(root, "plugins")}`,
        ],
        cwd: folder,
        log: join(folder, "kubelet.log"),
      });
      const failure = await untilReady(daemon, () => isReady(cluster, name), 90_000);
      if (failure !== undefined)
        throw new Error(`node ${name} is not Ready: ${failure}\n${await daemon.logTail()}`);
    },
    async kill(): Promise<void> {
      await daemon?.end("SIGKILL", 1000);
    },
    logTail: async (): Promise<string> => (await daemon?.logTail()) ?? "",
    async [Symbol.asyncDispose](): Promise<void> {
      await this.kill();
      for (const mount of await mountsBelow(root)) await run("umount", ["-l", mount]);
    },
  };
  return kubelet;
}

async function isReady(cluster: Cluster, name: string): Promise<boolean> {
  const answer = await cluster.admin.request("GET", `/api/v1/nodes/${name}`).catch(() => undefined);
  if (answer?.status !== 200) return false;
  const node: NodeState = JSON.parse(answer.body);
  return node.status.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true;
}

interface NodeState {
  readonly status: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

async function killIn(group: string): Promise<void> {
  const lists = await Array.fromAsync(glob(join(group, "**/cgroup.procs")));
  for (const list of lists)
    // 0 stands for processes out of sight, and would mean this one.
    for (const pid of (await readFile(list, "utf8").catch(() => ""))
      .split("\n")
      .map(Number)
      .filter((id) => id > 1))
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It ended by itself.
      }
}

/** A control group can only be removed once it has no children. */
async function removeGroup(path: string): Promise<void> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) if (entry.isDirectory()) await removeGroup(join(path, entry.name));
  await rmdir(path).catch(() => {});
}
