import { join } from "node:path";
import {
  containerRegistry,
  createLogger,
  createMetrics,
  errorMessage,
  Lifetime,
  linux,
  namespace,
  watchedNamespaces,
  type Logger,
  type MetricsRegistry,
} from "@aeon/core";
import { containerdClient, openClient } from "@aeon/containerd";
import { snapshotterPlugin, snapshotterRuntime } from "@aeon/snapshotter";
import type { PluginStatus, SocketStatus } from "./admin/index.ts";
import { adminDeps } from "./agent-parts.ts";
import type { AgentConfig } from "./config/agent-schema.ts";
import { agentState, hasKubernetes, servedServices } from "./container-service/served-services.ts";
import type { AgentConfiguration } from "./config/agent-configuration.ts";
import type { BackoffOptions } from "./host/backoff.ts";
import { endsWithin } from "./host/bounded.ts";
import { PluginHost } from "./host/plugin-host.ts";
import type { PluginRunner } from "./host/plugin-runner.ts";
import { removalGuard } from "./host/removal-guard.ts";
import { SnapshotService } from "./host/snapshot-service.ts";
import { healthPages } from "./http/health-pages.ts";
import { lockRoot, type Claim } from "./instance-lock.ts";
import { adminPlugin } from "./plugins/admin-plugin.ts";
import { keepersOf, startGuardsOf } from "./plugins/builtin-plugins.ts";
import { controllersOf, isOfCluster, isWanted } from "./plugins/cluster-plugins.ts";
import { httpPlugin } from "./plugins/http-plugin.ts";
import { linuxPlugin } from "./plugins/linux-plugin.ts";
import { pendingKeys } from "./pending-keys.ts";
import { createNotifier } from "./systemd/notifier.ts";
import { keepYoungGeneration } from "./v8-settings.ts";

export interface StartAgentOptions {
  /** Stops the agent when aborted, as disposing does. */
  readonly signal?: AbortSignal;
  /** Default: as the configuration's `log` table says, on standard error. */
  readonly log?: ReloadableLogger;
  /** Default: a registry of its own, with the metrics of this process. */
  readonly metrics?: MetricsRegistry;
  /** Variables of systemd's notification protocol. Default: none. */
  readonly environment?: NodeJS.ProcessEnv;
  /** How the agent comes to its root folder; as an agent of its own when absent. */
  readonly claim?: Claim;
  /** Pauses between attempts to start a plugin. */
  readonly backoff?: BackoffOptions;
}

/** A logger whose level follows the configuration. */
export interface ReloadableLogger extends Logger {
  setLevel(level: AgentConfig["log"]["level"]): void;
}

/** A running agent; disposing stops it in order. */
export interface Agent extends AsyncDisposable {
  readonly log: Logger;
  readonly metrics: MetricsRegistry;
  plugins(): readonly PluginStatus[];
  /** Sockets that are served now. */
  sockets(): readonly SocketStatus[];
  /** Applies what can change; returns the keys that wait for a restart. */
  reload(configuration: AgentConfiguration): Promise<readonly string[]>;
  /** Stops as disposing does, and waits no longer for calls and plugins once `skip` is aborted. */
  stop(skip: AbortSignal): Promise<void>;
}

/**
 * Milliseconds that plugins get to register hooks before the snapshotter's socket is opened without them, and that all
 * get before the agent calls itself ready without them.
 */
const firstAttemptsMs = 5000;
/** Milliseconds after the start when memory is given back. */
const releaseMs = 3000;
/** Milliseconds for snapshot calls under way when the agent stops; the server itself gives up earlier. */
const drainMs = 15_000;

/**
 * Starts the agent: the snapshotter first, then all other plugins, and the snapshotter's socket as soon as those with
 * snapshot hooks are ready. Rejects when the
 * snapshotter cannot start (`AGENT_ALREADY_RUNNING`, `ROOT_UNUSABLE` and the snapshotter's own errors); other
 * plugins may fail and are tried again.
 */
export async function startAgent(
  configuration: AgentConfiguration,
  options: StartAgentOptions = {},
): Promise<Agent> {
  options.signal?.throwIfAborted();
  const { agent: config } = configuration;
  const log = options.log ?? (await createLogger(config.log));
  const life = new Lifetime();
  try {
    life.use(await lockRoot(config.root, config.state, options.claim));
    const notifier = life.use(createNotifier({ environment: options.environment ?? {}, log }));
    const metrics = options.metrics ?? (await createMetrics({ process: true }));
    const agent = new RunningAgent({ configuration, options, log, life, notifier, metrics });
    await agent.start();
    return agent;
  } catch (error) {
    await life[Symbol.asyncDispose]();
    throw error;
  }
}

interface Parts {
  readonly configuration: AgentConfiguration;
  readonly options: StartAgentOptions;
  readonly log: ReloadableLogger;
  readonly life: Lifetime;
  readonly notifier: ReturnType<typeof createNotifier>;
  readonly metrics: MetricsRegistry;
}

const firstAttempts = (runners: readonly PluginRunner[]): Promise<unknown> =>
  Promise.all(runners.map(({ firstAttempt }) => firstAttempt));

class RunningAgent implements Agent {
  readonly log: ReloadableLogger;
  readonly metrics: MetricsRegistry;
  readonly #parts: Parts;
  readonly #host: PluginHost;
  #service: SnapshotService | undefined;
  #http: string | undefined;
  #accepting = true;
  #stopping: Promise<void> | undefined;

  constructor(parts: Parts) {
    const { configuration, options, log, metrics } = parts;
    const { root, state } = configuration.agent;
    this.log = log;
    this.metrics = metrics;
    this.#parts = parts;
    this.#host = new PluginHost({
      root,
      state,
      log,
      metrics,
      ...(options.backoff && { backoff: options.backoff }),
    });
  }

  async start(): Promise<void> {
    const { configuration, options, notifier } = this.#parts;
    try {
      const service = await this.#startSnapshotter();
      const others = this.#startOthers();
      const hooking = others.filter(({ hooksSnapshots }) => hooksSnapshots);
      await endsWithin(firstAttempts(hooking), firstAttemptsMs);
      await service.open();
      await endsWithin(firstAttempts(others), firstAttemptsMs);
    } catch (error) {
      await this.stop(AbortSignal.timeout(drainMs));
      throw error;
    }
    for (const error of configuration.failures) this.log.error({ error }, "plugin package cannot be used");
    options.signal?.addEventListener("abort", this.#onAbort, { once: true });
    this.#releaseLater();
    keepYoungGeneration();
    notifier.ready(this.#summary());
    this.log.info({ pid: process.pid, ms: Math.round(performance.now()) }, "agent is ready");
  }

  plugins(): readonly PluginStatus[] {
    return this.#host.statuses();
  }

  sockets(): readonly SocketStatus[] {
    const snapshotter = this.#service?.socket;
    return [
      ...(snapshotter === undefined ? [] : [{ name: "snapshotter", address: snapshotter }]),
      ...(this.#host.isReady("admin") ? [{ name: "admin", address: this.#adminSocket }] : []),
      ...(this.#http !== undefined && this.#host.isReady("http")
        ? [{ name: "http", address: this.#http }]
        : []),
    ];
  }

  async reload(next: AgentConfiguration): Promise<readonly string[]> {
    const { notifier } = this.#parts;
    notifier.reloading();
    try {
      this.log.setLevel(next.agent.log.level);
      const tables = new Map(next.plugins.map(({ plugin, config }) => [plugin.name, config]));
      return [
        ...pendingKeys(this.#parts.configuration.agent, next.agent),
        ...(await this.#host.reload(tables)),
      ];
    } finally {
      notifier.ready(this.#summary());
    }
  }

  stop(skip: AbortSignal): Promise<void> {
    return (this.#stopping ??= this.#stop(skip));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop(new AbortController().signal);
  }

  get #adminSocket(): string {
    return join(this.#parts.configuration.agent.state, "admin.sock");
  }

  /** The node must be able to start containers whatever else is broken, so this comes first and alone. */
  async #startSnapshotter(): Promise<SnapshotService> {
    const { configuration, life } = this.#parts;
    const { containerd } = configuration.agent;
    const client = life.use(openClient({ address: containerd.address }));
    this.#host.provide(containerdClient, client);
    this.#host.provide(hasKubernetes, controllersOf(configuration.plugins).length > 0);
    this.#host.provide(agentState, configuration.agent.state);
    this.#host.provide(servedServices, this.#host.services);
    if (!containerd.namespaces.includes("*"))
      this.#host.provide(watchedNamespaces, containerd.namespaces.map(namespace));
    const table = configuration.plugins.find(({ plugin }) => plugin === snapshotterPlugin);
    const runner = this.#host.start(snapshotterPlugin, table?.config);
    await runner.firstAttempt;
    if (!runner.isReady) throw runner.failure;
    const service = new SnapshotService(this.#host, runner, this.log);
    life.use(this.#host.onChange(() => service.follow()));
    return (this.#service = service);
  }

  #startOthers(): readonly PluginRunner[] {
    const { configuration, options } = this.#parts;
    const { agent, plugins } = configuration;
    // The network and the account of a pod that ends go with it; what happens meanwhile is told by the next agent.
    const isAlone = options.claim?.kind === "stand-in";
    const keepers = keepersOf(plugins);
    this.#host.hooks.register(removalGuard(() => keepers.filter((name) => !this.#host.isReady(name))));
    const guards = startGuardsOf(plugins, agent.root, {
      registry: () => this.#host.find(containerRegistry),
      isReady: (name) => this.#host.isReady(name),
    });
    for (const guard of guards) this.#host.hooks.register(guard);
    const further = [
      ...plugins.filter((each) => each.plugin !== snapshotterPlugin && isWanted(each)),
      ...controllersOf(plugins).map((plugin) => ({ plugin, config: undefined })),
    ].filter(({ plugin }) => !isAlone || !isOfCluster(plugin));
    return [
      ...further.map(({ plugin, config }) => this.#host.start(plugin, config)),
      this.#host.start(linuxPlugin(agent.root), undefined),
      ...this.#startPages(agent.metrics),
      this.#host.start(adminPlugin(this.#adminSocket, this.#adminDeps()), undefined),
    ];
  }

  #startPages(metrics: AgentConfig["metrics"]): readonly PluginRunner[] {
    if (metrics.address === "") return [];
    const routes = healthPages({
      metrics: this.metrics,
      plugins: () => this.plugins(),
      accepting: () => this.#accepting,
    });
    return [
      this.#host.start(
        httpPlugin(routes, (address) => (this.#http = address)),
        metrics,
      ),
    ];
  }

  #adminDeps() {
    const containerd = this.#host.find(containerdClient);
    if (containerd === undefined) throw new TypeError("the containerd client was not provided");
    const sockets = () => this.sockets();
    return adminDeps({ config: this.#parts.configuration.agent, host: this.#host, containerd, sockets });
  }

  #summary(): string {
    const failed = this.plugins().filter(({ state }) => state !== "ready");
    return failed.length === 0 ? "ready" : `ready, not running: ${failed.map(({ name }) => name).join(", ")}`;
  }

  /** Starting needs memory that running does not. */
  #releaseLater(): void {
    const timer = setTimeout(() => {
      Promise.all([linux.releaseFreeMemory(), linux.releaseProgramCode()]).catch((error: unknown) =>
        this.log.debug({ error }, "memory of the start not released"),
      );
    }, releaseMs).unref();
    this.#parts.life.defer(() => clearTimeout(timer));
  }

  readonly #onAbort = (): void => {
    this[Symbol.asyncDispose]().catch((error: unknown) =>
      this.log.error({ error: errorMessage(error) }, "agent did not stop cleanly"),
    );
  };

  /** Hooks have to be there for as long as calls may come, so the socket goes first and the plugins after it. */
  async #stop(skip: AbortSignal): Promise<void> {
    const { options, notifier, life } = this.#parts;
    this.#accepting = false;
    options.signal?.removeEventListener("abort", this.#onAbort);
    notifier.stopping();
    this.log.info({}, "agent is stopping");
    const runtime = this.#host.find(snapshotterRuntime);
    if (runtime !== undefined && !(await endsWithin(runtime.stopListening(), drainMs, skip)))
      this.log.warn({}, "snapshot calls under way were cut off");
    await this.#host.stop(skip);
    await life[Symbol.asyncDispose]();
    this.log.info({}, "agent stopped");
  }
}
