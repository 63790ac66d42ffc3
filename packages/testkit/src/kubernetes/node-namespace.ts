import { join } from "node:path";
import { Daemon, run, untilReady } from "@aeon/standalone";
import { readlink } from "node:fs/promises";
import type { ClusterNetwork } from "./cluster-network.ts";

/** Network and mount namespaces of one node; they go with the last process in them. */
export interface NodeNamespace extends AsyncDisposable {
  /** Address of the node, reachable from the control plane and the other nodes. */
  readonly address: string;
  /** A process inside that lives as long as they do. */
  readonly pid: number;
  /** Words to put before a command that runs inside. */
  readonly enter: readonly string[];
}

/**
 * Joins a new pair of namespaces to the cluster's network as its `index`th node, from 1. `binds` are folders by where
 * the node has them.
 */
export async function createNodeNamespace(
  network: ClusterNetwork,
  index: number,
  folder: string,
  binds: Readonly<Record<string, string>> = {},
): Promise<NodeNamespace> {
  await using stack = new AsyncDisposableStack();
  const anchor = await Daemon.start({
    program: "unshare",
    args: ["--net", "--mount", "--propagation", "private", "sleep", "infinity"],
    cwd: folder,
    log: join(folder, "anchor.log"),
  });
  stack.defer(() => anchor.end("SIGKILL", 1000));
  const own = await readlink("/proc/self/ns/net");
  const entered = async (): Promise<boolean> => {
    const now = await readlink(`/proc/${anchor.pid}/ns/mnt`).catch(() => "");
    const net = await readlink(`/proc/${anchor.pid}/ns/net`).catch(() => own);
    return net !== own && now !== (await readlink("/proc/self/ns/mnt"));
  };
  const failure = await untilReady(anchor, entered, 10_000);
  if (failure !== undefined) throw new Error(`no namespaces for a node: ${failure}`);
  const enter = ["nsenter", `--net=/proc/${anchor.pid}/ns/net`, `--mount=/proc/${anchor.pid}/ns/mnt`, "--"];
  const address = network.nodeAddress(index);
  const [outer, inner] = [`${network.name}n${index}`, `${network.name}p${index}`];
  await run("ip", ["link", "add", outer, "type", "veth", "peer", "name", inner]);
  stack.defer(async () => {
    // It went with the namespace when that ended first.
    await run("ip", ["link", "del", outer]).catch(() => {});
  });
  await run("ip", ["link", "set", outer, "master", network.name, "up"]);
  await run("ip", ["link", "set", inner, "netns", String(anchor.pid)]);
  const routes = network.others(index).map((other) => {
    return `ip route add ${network.podSubnet(other)} via ${network.nodeAddress(other)}`;
  });
  const script = [
    "set -e",
    "ip link set lo up",
    `ip address add ${address}/24 dev ${inner}`,
    `ip link set ${inner} up`,
    `ip route add default via ${network.gateway}`,
    ...routes,
    "echo 1 > /proc/sys/net/ipv4/ip_forward",
    // kubelet and containerd name their log files the same on every node.
    `mkdir -p ${folder}/log /var/log/pods /var/log/containers`,
    `mount --bind ${folder}/log /var/log`,
    "mkdir -p /var/log/pods /var/log/containers",
    // Shared, as all mounts of a host with systemd are: pods ask for propagation.
    ...Object.entries(binds).map(
      ([target, source]) =>
        `mkdir -p ${target} ${source} && mount --bind ${source} ${target} && mount --make-shared ${target}`,
    ),
  ].join("\n");
  const [program = "", ...args] = enter;
  await run(program, [...args, "sh", "-c", script]);
  await run("ip", ["route", "add", network.podSubnet(index), "via", address]);
  const owned = stack.move();
  return { address, pid: anchor.pid, enter, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
