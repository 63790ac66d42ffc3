import { containerRegistry, errorMessage } from "@aeon/core";
import type { Client } from "@aeon/containerd";
import { dindService } from "@aeon/dind";
import { hooksService } from "@aeon/hooks-runtime";
import { backupService } from "@aeon/rootfs-backup";
import { snapshotterRuntime } from "@aeon/snapshotter";
import type { AdminDeps, ContainerdStatus, SocketStatus } from "./admin/index.ts";
import type { AgentConfig } from "./config/agent-schema.ts";
import type { PluginHost } from "./host/plugin-host.ts";
import { version } from "./version.ts";

export interface AgentParts {
  readonly config: AgentConfig;
  readonly host: PluginHost;
  readonly containerd: Client;
  readonly sockets: () => readonly SocketStatus[];
}

/** Milliseconds that containerd gets to say its version. */
const versionMs = 2000;

/** What the admin API shows of a running agent. */
export function adminDeps({ config, host, containerd, sockets }: AgentParts): AdminDeps {
  return {
    version,
    startedAt: new Date(),
    root: config.root,
    state: config.state,
    plugins: () => host.statuses(),
    sockets,
    containerd: (signal) => containerdStatus(containerd, signal),
    snapshotter: () => host.find(snapshotterRuntime)?.backend,
    containers: () => host.find(containerRegistry),
    backups: () => host.find(backupService),
    dind: () => host.find(dindService),
    hooks: () => host.find(hooksService),
  };
}

async function containerdStatus(client: Client, signal: AbortSignal): Promise<ContainerdStatus> {
  const { address } = client;
  try {
    const reply = await client.version({ signal: AbortSignal.any([signal, AbortSignal.timeout(versionMs)]) });
    return { address, connected: true, ...reply };
  } catch (error) {
    return { address, connected: false, failure: errorMessage(error) };
  }
}
