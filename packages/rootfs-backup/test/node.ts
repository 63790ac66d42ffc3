import { mkdirSync } from "node:fs";
import { join } from "node:path";
import {
  containerId,
  containerRegistry,
  createMetrics,
  linux,
  Lifetime,
  namespace,
  silentLogger,
  snapshotBackend,
  snapshotKey,
  type BackupId,
  type CallContext,
  type Capability,
  type ContainerId,
  type Health,
  type Labels,
  type Logger,
  type Mount,
  type SnapshotHookRegistry,
  type SnapshotKey,
} from "@aeon/core";
import {
  createHookPipeline,
  openContainerRegistry,
  openOverlaySnapshotter,
  ownSnapshots,
  type ContainerRecord,
  type ContainerSource,
  type HookPipeline,
  type OpenContainerRegistry,
} from "@aeon/snapshotter";
import * as v from "valibot";
import {
  backupConfig,
  backupPlugin,
  backupService,
  backupStore,
  type BackupService,
  type StoredLayer,
  type WorkerCommand,
} from "../src/index.ts";
import { unmountFreed } from "./scratch.ts";
import { openObjects } from "../src/objects/open-objects.ts";

export const space = namespace("default");

/** Stands in for containerd, which these tests have no need of: the records of containers that a test makes. */
export class Containers implements ContainerSource {
  readonly #records = new Map<string, ContainerRecord>();

  add(id: string, labels: Labels = {}): void {
    this.#records.set(id, { id: containerId(id), image: "test", labels, snapshotKey: id });
  }

  delete(id: string): void {
    this.#records.delete(id);
  }

  async get(_space: string, id: ContainerId): Promise<ContainerRecord | undefined> {
    return this.#records.get(id);
  }

  async list(): Promise<readonly ContainerRecord[]> {
    return [...this.#records.values()];
  }

  async namespaces(): Promise<readonly (typeof space)[]> {
    return [space];
  }

  async tasks(): Promise<readonly []> {
    return [];
  }

  async *events(signal: AbortSignal): AsyncGenerator<{ kind: "gap" }, void> {
    yield { kind: "gap" };
    if (signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => resolve(), { once: true });
    await promise;
  }
}

export interface NodeOptions {
  /** Keeps the node's state; the next node on it goes on where this one ended. */
  readonly root: string;
  readonly containers?: Containers;
  /** The table `[backup]`. */
  readonly config?: v.InferInput<typeof backupConfig>;
  readonly log?: Logger;
  readonly workerCommand?: WorkerCommand;
}

/** A node as the agent builds it: overlay snapshotter, hooks, registry and the backup plugin. */
export interface TestNode extends AsyncDisposable {
  readonly snapshotter: HookPipeline;
  readonly registry: OpenContainerRegistry;
  readonly backups: BackupService;
  readonly containers: Containers;
  readonly checks: ReadonlyMap<string, () => Health>;
  /** The layers of a backup in the store, the lowest first. */
  chain(backup: BackupId): Promise<readonly StoredLayer[]>;
}

export const call: CallContext = { caller: { namespace: "default" }, signal: AbortSignal.timeout(3_600_000) };

export async function startNode({
  root,
  containers = new Containers(),
  config = {},
  log = silentLogger,
  workerCommand,
}: NodeOptions): Promise<TestNode> {
  const life = new Lifetime();
  for (const name of ["backup", "state", "snapshots"]) mkdirSync(join(root, name), { recursive: true });
  const backend = life.use(await openOverlaySnapshotter({ root: join(root, "snapshots") }));
  const registry = life.use(
    openContainerRegistry({ path: join(root, "containers.db"), backend, source: containers }),
  );
  const snapshotter = life.use(createHookPipeline({ backend, log }));
  for (const hook of [...registry.hooks, ownSnapshots]) snapshotter.register(hook);
  const provided = new Map<string, unknown>([
    [containerRegistry.name, registry],
    [snapshotBackend.name, backend],
  ]);
  const { plugin, backups, checks } = await startPlugin({
    root,
    config,
    log,
    provided,
    snapshotHooks: snapshotter,
    signal: life.signal,
    ...(workerCommand && { workerCommand }),
  });
  life.use(plugin);
  return {
    snapshotter,
    registry,
    backups,
    containers,
    checks,
    chain: async (backup) =>
      (await stored(config, root).getBackup(backup, call.signal))?.document.layers ?? [],
    [Symbol.asyncDispose]: () => life[Symbol.asyncDispose](),
  };
}

export interface PluginParts extends Pick<NodeOptions, "root" | "config" | "log" | "workerCommand"> {
  /** What other plugins offer, by name. */
  readonly provided: Map<string, unknown>;
  readonly snapshotHooks: SnapshotHookRegistry;
  readonly signal: AbortSignal;
}

/** The backup plugin as the agent starts it. */
export async function startPlugin({
  root,
  config = {},
  log = silentLogger,
  provided,
  snapshotHooks,
  signal,
  workerCommand,
}: PluginParts): Promise<{
  readonly plugin: AsyncDisposable;
  readonly backups: BackupService;
  readonly checks: ReadonlyMap<string, () => Health>;
}> {
  const checks = new Map<string, () => Health>();
  const find = <T>({ name }: Capability<T>): T | undefined => provided.get(name) as T | undefined;
  const plugin = await backupPlugin(workerCommand && { workerCommand }).start({
    config: v.parse(backupConfig, config),
    log,
    metrics: await createMetrics(),
    root: join(root, "backup"),
    state: join(root, "state"),
    signal,
    snapshotHooks,
    containerServices: { register: () => ({ [Symbol.dispose]() {} }) },
    provide: ({ name }, value) => void provided.set(name, value),
    require: (wanted) => {
      const value = find(wanted);
      if (value === undefined) throw new Error(`nobody provides ${wanted.name}`);
      return value;
    },
    find,
    health: (name, check) => void checks.set(name, check),
    fail: (error) => {
      throw error;
    },
    onReload: () => {},
  });
  const backups = find(backupService);
  if (backups === undefined) throw new Error("the plugin provides no backup service");
  return { plugin, backups, checks };
}

const stored = ({ store }: v.InferInput<typeof backupConfig>, root: string) =>
  backupStore({
    objects: openObjects({
      config: v.parse(backupConfig, { store }).store,
      root: join(root, "backup"),
      writer: "reader",
      log: silentLogger,
    }),
    log: silentLogger,
  });

let sequence = Math.floor(Date.now() / 1000) * 1000;
/** A key as containerd makes them. */
export const keyOf = (id: string): SnapshotKey => snapshotKey(`default/${(sequence += 1)}/${id}`);

/** Mounts as the shim does; disposing unmounts. */
export async function mountAt(target: string, mounts: readonly Mount[]): Promise<AsyncDisposable> {
  mkdirSync(target, { recursive: true });
  for (const { type, source, options } of mounts) {
    const { flags, data } = linux.parseMountOptions(options);
    await linux.mount({ source, target, type: type === "bind" ? "" : type, flags, data });
  }
  return { [Symbol.asyncDispose]: () => unmountFreed(target) };
}
