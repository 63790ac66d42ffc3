import type { SnapshotKind } from "@aeon/core";
import type { admin } from "@aeon/proto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { pluginMessage } from "./convert.ts";
import type { AdminDeps, PluginStatus } from "./deps.ts";

type Counts = MessageInitShape<typeof admin.CountsSchema>;

/** Everything `aeonctl status` shows. A part that does not answer is reported, and never fails the call. */
export async function readStatus(
  deps: AdminDeps,
  signal: AbortSignal,
): Promise<MessageInitShape<typeof admin.GetStatusResponseSchema>> {
  const plugins = deps.plugins();
  const [containerd, snapshots, backups] = await Promise.all([
    deps.containerd(signal),
    countSnapshots(deps, signal).catch(unknown),
    countBackups(deps, signal).catch(unknown),
  ]);
  return {
    version: deps.version,
    pid: process.pid,
    startedAt: timestampFromDate(deps.startedAt),
    root: deps.root,
    state: deps.state,
    plugins: plugins.map(pluginMessage),
    containerd,
    counts: { ...snapshots, ...countContainers(deps), ...backups },
    sockets: [...deps.sockets()],
    ready: plugins.every(isReady),
  };
}

const isReady = ({ state, checks }: PluginStatus): boolean =>
  state === "ready" && checks.every(({ health }) => health.ok);

/** Counts of a part that cannot be asked stay absent; its plugin's health says why. */
const unknown = (): Counts => ({});

async function countSnapshots(deps: AdminDeps, signal: AbortSignal): Promise<Counts> {
  const snapshotter = deps.snapshotter();
  if (snapshotter === undefined) return {};
  const counts: Record<SnapshotKind, bigint> = { view: 0n, active: 0n, committed: 0n };
  for await (const { kind } of await snapshotter.list({ filters: [] }, { caller: {}, signal }))
    counts[kind]++;
  return { views: counts.view, active: counts.active, committed: counts.committed };
}

function countContainers(deps: AdminDeps): Counts {
  const registry = deps.containers();
  return registry === undefined ? {} : { containers: BigInt(registry.list().length) };
}

async function countBackups(deps: AdminDeps, signal: AbortSignal): Promise<Counts> {
  const service = deps.backups();
  if (service === undefined) return {};
  const [backups, restores] = await Promise.all([service.list(signal), service.restores(signal)]);
  return {
    backups: BigInt(backups.length),
    backupsPending: BigInt(backups.filter(({ state }) => state !== "stored").length),
    restoresPending: BigInt(restores.filter(({ state }) => state === "pending").length),
  };
}
