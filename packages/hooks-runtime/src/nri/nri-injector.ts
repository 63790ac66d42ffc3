import { setTimeout as delay } from "node:timers/promises";
import {
  containerId,
  errorMessage,
  type AnnouncedContainer,
  type Health,
  type Logger,
  type Metrics,
  type PodFolders,
} from "@aeon/core";
import { ContainerState, type Container, type PodSandbox } from "@aeon/proto/nri";
import type { Matcher } from "../rules/injection.ts";
import type { NriStatus } from "../service.ts";
import { adjustmentOf, appliedAnnotation } from "./adjustment.ts";
import type { MissedContainer } from "./missed.ts";
import { connectNri } from "./nri-connection.ts";
import { nriFacts } from "./nri-facts.ts";
import { criNamespace, podFolderFor, withPodFolder } from "./pod-folder.ts";
import type { RuntimePolicy } from "./runtime-policy.ts";

export interface NriInjectorOptions {
  readonly socket: string;
  /** The rules in force, asked anew for each container. */
  readonly matcher: () => Matcher;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Reads what the runtime's configuration says, at each registration. */
  readonly policy?: () => Promise<RuntimePolicy | undefined>;
  /** Folders of pods, asked anew for each container. */
  readonly folders?: () => PodFolders | undefined;
  /** Told who each container is. */
  readonly announce?: (container: AnnouncedContainer) => void;
}

/** Injects rules into the containers of a runtime, over NRI. */
export interface NriInjector extends AsyncDisposable {
  readonly health: () => Health;
  /** What the runtime told at the last registration; empty when nothing was missed. */
  readonly missed: readonly MissedContainer[];
  readonly status: () => NriStatus;
  /** True when the runtime is known to refuse hooks. */
  readonly rejectsHooks: () => boolean;
}

/** As runtimes know the plugin, such as in `required_plugins`. */
export const nriPluginName = "aeon";
/** After plugins that change devices or resources, before those that validate. */
const pluginIndex = "50";
const shortestPauseMs = 100;
const longestPauseMs = 10_000;

/** Keeps a connection to the runtime, with growing pauses between attempts. */
export function startNriInjector(options: NriInjectorOptions): NriInjector {
  return new Injector(options);
}

class Injector implements NriInjector {
  readonly #options: NriInjectorOptions;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  readonly #injections;
  readonly #duration;
  readonly #missedGauge;
  readonly #connected;
  #failure = "not connected yet";
  #runtime = "";
  #policy: RuntimePolicy | undefined;
  #missed: readonly MissedContainer[] = [];

  constructor(options: NriInjectorOptions) {
    this.#options = options;
    const { metrics } = options;
    this.#injections = metrics.counter({
      name: "hooks_nri_containers_total",
      help: "Containers the runtime asked about, by outcome.",
      labels: ["outcome"],
    });
    this.#duration = metrics.histogram({
      name: "hooks_nri_answer_seconds",
      help: "Time to answer the runtime about a container.",
      buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.5],
    });
    this.#missedGauge = metrics.gauge({
      name: "hooks_nri_missed_containers",
      help: "Running containers that rules are for but that started while aeon was away.",
    });
    this.#connected = metrics.gauge({
      name: "hooks_nri_connected",
      help: "1 while registered with the runtime.",
    });
    this.#running = this.#run();
  }

  readonly health = (): Health =>
    this.#failure === "" ? { ok: true } : { ok: false, reason: `NRI: ${this.#failure}` };

  readonly status = (): NriStatus => ({
    socket: this.#options.socket,
    health: this.health(),
    runtime: this.#runtime,
    failClosed: this.#policy?.failClosed,
    missed: this.#missed,
  });

  readonly rejectsHooks = (): boolean => this.#policy?.rejectsHooks ?? false;

  get missed(): readonly MissedContainer[] {
    return this.#missed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error("NRI injector stopped"));
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    let pause = shortestPauseMs;
    while (!signal.aborted) {
      pause = (await this.#session(signal)) ? shortestPauseMs : Math.min(pause * 2, longestPauseMs);
      await delay(pause, undefined, { signal, ref: false }).catch(() => {});
    }
  }

  /** One connection from registration to its end; false when there was none. */
  async #session(signal: AbortSignal): Promise<boolean> {
    const { socket, log } = this.#options;
    try {
      using connection = await connectNri(
        {
          socket,
          name: nriPluginName,
          index: pluginIndex,
          createContainer: async (pod, container) => this.#answer(pod, container),
          synchronize: (pods, containers) => this.#synchronize(pods, containers),
        },
        signal,
      );
      this.#failure = "";
      this.#runtime = connection.runtime;
      this.#policy = await this.#options.policy?.();
      this.#connected.set(1);
      log.info({ socket, runtime: connection.runtime }, "registered with NRI");
      const stopped = new Promise<void>((resolve) =>
        signal.addEventListener("abort", () => resolve(), { once: true }),
      );
      await Promise.race([connection.closed, stopped]);
      this.#failure = "the runtime ended the connection";
      return true;
    } catch (error) {
      const failure = errorMessage(error);
      // Said once, not with every attempt.
      if (failure !== this.#failure && !signal.aborted) log.warn({ error: failure }, "NRI is not available");
      this.#failure = failure;
      return false;
    } finally {
      this.#connected.set(0);
    }
  }

  /** A failure of aeon's own must not fail a container: it gets no rules then, and the log and a metric tell. */
  async #answer(pod: PodSandbox, container: Container) {
    const end = this.#duration.startTimer();
    this.#announce(pod, container);
    try {
      const injection = this.#options.matcher().injectionFor(nriFacts(pod, container));
      const outcome = injection.rules.length === 0 ? "unmatched" : "injected";
      this.#injections.inc({ outcome });
      const folder = await this.#folderFor(pod, container);
      if (folder !== undefined) return { adjust: adjustmentOf(withPodFolder(injection, folder, container)) };
      return outcome === "injected" ? { adjust: adjustmentOf(injection) } : {};
    } catch (error) {
      this.#injections.inc({ outcome: "failed" });
      this.#options.log.error({ container: container.id, error: errorMessage(error) }, "rules not injected");
      return {};
    } finally {
      end();
    }
  }

  /** Without its folder a container is better than not at all. */
  async #folderFor(pod: PodSandbox, container: Container) {
    try {
      return await podFolderFor(this.#options.folders?.(), pod, container);
    } catch (error) {
      this.#options.log.error(
        { container: container.id, pod: pod.name, error: errorMessage(error) },
        "container starts without its pod's folder",
      );
      return undefined;
    }
  }

  #announce(pod: PodSandbox, { id, name, labels }: Container): void {
    try {
      this.#options.announce?.({
        namespace: criNamespace,
        id: containerId(id),
        labels,
        pod: { namespace: pod.namespace, name: pod.name, uid: pod.uid, container: name },
      });
    } catch (error) {
      this.#options.log.warn({ container: id, error: errorMessage(error) }, "identity is not kept");
    }
  }

  #synchronize(pods: readonly PodSandbox[], containers: readonly Container[]): void {
    const matcher = this.#options.matcher();
    const byId = new Map(pods.map((pod) => [pod.id, pod]));
    this.#missed = containers.flatMap((container) => {
      const pod = byId.get(container.podSandboxId);
      if (pod !== undefined) this.#announce(pod, container);
      const isOver = container.state === ContainerState.CONTAINER_STOPPED;
      if (pod === undefined || isOver || container.annotations[appliedAnnotation] !== undefined) return [];
      const { rules } = matcher.injectionFor(nriFacts(pod, container));
      return rules.length === 0
        ? []
        : [{ id: container.id, namespace: pod.namespace, pod: pod.name, container: container.name, rules }];
    });
    this.#missedGauge.set(this.#missed.length);
    for (const missed of this.#missed)
      this.#options.log.warn({ ...missed }, "container started without its hooks");
  }
}
