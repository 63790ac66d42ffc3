import { join } from "node:path";
import {
  Lifetime,
  silentLogger,
  type Health,
  type Logger,
  type Metrics,
  type Namespace,
  type Snapshotter,
} from "@aeon/core";
import type { Client } from "@aeon/containerd";
import { openAuditLog, type AuditLog } from "./hooks/audit-log.ts";
import { operationMetrics } from "./hooks/operation-metrics.ts";
import { ownSnapshots } from "./hooks/own-snapshots.ts";
import { createHookPipeline, type HookPipeline } from "./hooks/pipeline.ts";
import { openOverlaySnapshotter } from "./overlay/open.ts";
import { containerdSource } from "./registry/containerd-source.ts";
import { openContainerRegistry, type OpenContainerRegistry } from "./registry/container-registry.ts";
import { openRemoteSnapshotter } from "./remote/remote-snapshotter.ts";
import { serveSnapshotter } from "./server/serve.ts";

/** Where the files of snapshots are. */
export type BackendOptions =
  | { readonly type: "overlayfs"; readonly root: string; readonly mountOptions?: readonly string[] }
  | {
      readonly type: "remote";
      readonly address: string;
      readonly name: string;
      readonly containerdNamespace?: string;
    };

export interface SnapshotterRuntimeOptions {
  readonly backend: BackendOptions;
  /** Folder for the container registry's database; exists. */
  readonly root: string;
  /** Absolute path of the socket that containerd's proxy plugin connects to. */
  readonly socket: string;
  /** containerd's name of this snapshotter (`[proxy_plugins.NAME]`). */
  readonly proxyName?: string;
  readonly audit?: { readonly path: string; readonly reads?: boolean };
  /** Where containers are looked up; stays open. Without it the registry knows snapshots only. */
  readonly containerd?: Client;
  /** Whose containers the registry keeps; all when absent. */
  readonly namespaces?: readonly Namespace[];
  readonly log?: Logger;
  readonly metrics?: Metrics;
}

/** Everything behind the snapshotter's socket; disposing stops it in reverse order, the socket first. */
export interface SnapshotterRuntime extends AsyncDisposable {
  /** The snapshotter below all hooks. */
  readonly backend: Snapshotter;
  /** Where hooks are registered; what the socket serves. */
  readonly pipeline: HookPipeline;
  readonly containers: OpenContainerRegistry;
  /** Absolute path of the socket, served or not. */
  readonly socket: string;
  /** True once the socket is served. */
  readonly listening: boolean;
  /**
   * Serves the socket. containerd calls at once, so every hook that must not miss a call has to be registered
   * before. Throws `SOCKET_IN_USE`.
   */
  listen(): Promise<void>;
  /** Removes the socket and resolves when the calls under way have ended; hooks and everything else stay. */
  stopListening(): Promise<void>;
  /** Opens log files anew after a rotation. */
  reopenLogs(): void;
  health(): Health;
}

/** Opens the backend, the hook pipeline with the built-in hooks, and the container registry; serves nothing yet. */
export async function openSnapshotterRuntime(
  options: SnapshotterRuntimeOptions,
): Promise<SnapshotterRuntime> {
  const { log = silentLogger, metrics, audit } = options;
  const life = new Lifetime();
  try {
    const backend = life.use(await openBackend(options.backend, log));
    const auditLog = audit && life.use(await openAuditLog({ ...audit, log, ...(metrics && { metrics }) }));
    const containers = life.use(openRegistry(options, backend, log));
    const pipeline = life.use(createHookPipeline({ backend, log, ...(metrics && { metrics }) }));
    const hooks = [
      ...(auditLog ? [auditLog.hook] : []),
      ...(metrics ? [operationMetrics(metrics)] : []),
      ...containers.hooks,
      ownSnapshots,
    ];
    for (const hook of hooks) pipeline.register(hook);
    return new Runtime({ life, backend, pipeline, containers, auditLog, socket: options.socket, log });
  } catch (error) {
    await life[Symbol.asyncDispose]();
    throw error;
  }
}

async function openBackend(backend: BackendOptions, log: Logger): Promise<Snapshotter> {
  return backend.type === "remote"
    ? openRemoteSnapshotter(backend)
    : await openOverlaySnapshotter({ ...backend, log });
}

function openRegistry(
  { root, containerd, proxyName, namespaces }: SnapshotterRuntimeOptions,
  backend: Snapshotter,
  log: Logger,
): OpenContainerRegistry {
  const source =
    containerd &&
    containerdSource({ client: containerd, log, ...(proxyName !== undefined && { snapshotter: proxyName }) });
  return openContainerRegistry({
    path: join(root, "containers.db"),
    backend,
    log,
    ...(source && { source }),
    ...(namespaces && { namespaces }),
  });
}

interface Parts {
  readonly life: Lifetime;
  readonly backend: Snapshotter;
  readonly pipeline: HookPipeline;
  readonly containers: OpenContainerRegistry;
  readonly auditLog: AuditLog | undefined;
  readonly socket: string;
  readonly log: Logger;
}

class Runtime implements SnapshotterRuntime {
  readonly #parts: Parts;
  #serving: Promise<AsyncDisposable> | undefined;
  #listening = false;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  get backend(): Snapshotter {
    return this.#parts.backend;
  }
  get pipeline(): HookPipeline {
    return this.#parts.pipeline;
  }
  get containers(): OpenContainerRegistry {
    return this.#parts.containers;
  }
  get socket(): string {
    return this.#parts.socket;
  }
  get listening(): boolean {
    return this.#listening;
  }

  async listen(): Promise<void> {
    await (this.#serving ??= this.#serve());
  }

  async stopListening(): Promise<void> {
    // Whoever called listen learns of its failure.
    const server = await this.#serving?.catch(() => undefined);
    this.#listening = false;
    await server?.[Symbol.asyncDispose]();
  }

  reopenLogs(): void {
    this.#parts.auditLog?.reopen();
  }

  health(): Health {
    const { pipeline, containers } = this.#parts;
    const hooks = pipeline.health();
    return hooks.ok ? containers.health() : hooks;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.life[Symbol.asyncDispose]();
  }

  async #serve(): Promise<AsyncDisposable> {
    const { life, pipeline, socket, log } = this.#parts;
    const server = life.use(
      await serveSnapshotter({ snapshotter: pipeline, socket, log, signal: life.signal }),
    );
    this.#listening = true;
    life.defer(() => void (this.#listening = false));
    return server;
  }
}
