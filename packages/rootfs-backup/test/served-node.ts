import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { containerdClient, openClient, type Client } from "@aeon/containerd";
import {
  containerRegistry,
  Lifetime,
  silentLogger,
  snapshotBackend,
  type Capability,
  type Logger,
} from "@aeon/core";
import { openSnapshotterRuntime, type SnapshotterRuntime } from "@aeon/snapshotter";
import type * as v from "valibot";
import type { backupConfig, BackupService } from "../src/index.ts";
import { startPlugin } from "./node.ts";

export interface ServedNodeOptions {
  /** Keeps the node's state; the next node on it goes on where this one ended. */
  readonly root: string;
  /** Socket of the containerd that uses it as its snapshotter `aeon`. */
  readonly containerd: string;
  /** The table `[backup]`. */
  readonly config?: v.InferInput<typeof backupConfig>;
  readonly log?: Logger;
}

/** Snapshotter, registry and backup as in the agent, for a real containerd. */
export interface ServedNode extends AsyncDisposable {
  readonly runtime: SnapshotterRuntime;
  readonly backups: BackupService;
  readonly client: Client;
  /** What the plugin offers to others. */
  find<T>(wanted: Capability<T>): T | undefined;
}

/** Where a served node listens. */
export const socketOf = (root: string): string => join(root, "aeon.sock");

export async function serveNode({
  root,
  containerd,
  config = {},
  log = silentLogger,
}: ServedNodeOptions): Promise<ServedNode> {
  const life = new Lifetime();
  for (const name of ["backup", "state", "snapshots"]) mkdirSync(join(root, name), { recursive: true });
  const client = life.use(openClient({ address: containerd, namespace: "k8s.io" }));
  const snapshots = join(root, "snapshots");
  const runtime = life.use(
    await openSnapshotterRuntime({
      backend: { type: "overlayfs", root: snapshots },
      root,
      socket: socketOf(root),
      proxyName: "aeon",
      containerd: client,
      log,
    }),
  );
  const provided = new Map<string, unknown>([
    [containerRegistry.name, runtime.containers],
    [snapshotBackend.name, runtime.backend],
    [containerdClient.name, client],
  ]);
  const { plugin, backups } = await startPlugin({
    root,
    config,
    log,
    provided,
    snapshotHooks: runtime.pipeline,
    signal: life.signal,
  });
  life.use(plugin);
  await runtime.listen();
  return {
    runtime,
    backups,
    client,
    find: <T>({ name }: Capability<T>) => provided.get(name) as T | undefined,
    [Symbol.asyncDispose]: () => life[Symbol.asyncDispose](),
  };
}
