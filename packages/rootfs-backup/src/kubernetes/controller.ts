import { errorMessage, isAeonError, Lifetime, type Logger, type PodEnds } from "@aeon/core";
import type { Kubernetes, Watch } from "@aeon/kube";
import type { BackupService } from "../backup-service.ts";
import type { PolicyLabels } from "../capture/policy-labels.ts";
import {
  allBackups,
  allPolicies,
  nodeLabel,
  nodeValue,
  parseBackupObject,
  parsePod,
  parsePolicy,
  type BackupObject,
  type Pod,
  type Policy,
} from "./api.ts";
import { decide } from "./policies.ts";
import { Reporter } from "./reporter.ts";
import { Requests } from "./requests.ts";

export interface ControllerOptions {
  readonly kubernetes: Kubernetes;
  readonly backups: BackupService;
  readonly ends: PodEnds;
  readonly policyLabels: PolicyLabels;
  readonly log: Logger;
}

/** Backups older than this are not shown any more when they are not; nanoseconds. */
const recentNs = 24n * 3600n * 1_000_000_000n;

/** Joins this node's backups with the cluster. Nothing here is waited for by a container. */
export class Controller implements AsyncDisposable {
  readonly #options: ControllerOptions;
  readonly #life = new Lifetime();
  readonly #reporter: Reporter;
  readonly #requests: Requests;
  readonly #pods: Watch<Pod>;
  readonly #policies: Watch<Policy>;
  readonly #own: Watch<BackupObject>;
  readonly #asked: Watch<BackupObject>;
  /** Objects that people made, by the backup that was taken for them. */
  readonly #made = new Map<string, BackupObject>();

  constructor(options: ControllerOptions) {
    this.#options = options;
    const { kubernetes, backups, log } = options;
    const { signal } = this.#life;
    this.#reporter = this.#life.use(
      new Reporter({
        kubernetes,
        find: async (id, call) => {
          try {
            return await backups.get(id, call);
          } catch (error) {
            if (isAeonError(error, "BACKUP_NOT_FOUND")) return undefined;
            throw error;
          }
        },
        isAwaited: ({ trigger, pod }) =>
          trigger === "manual" && pod !== undefined && this.#requests.isTaking(pod.uid, pod.container),
        objectOf: (id) => this.#made.get(id) ?? this.#shown(id),
        log,
      }),
    );
    this.#requests = new Requests({
      kubernetes,
      create: (request, call) => backups.create(request, call),
      pod: (namespace, name) =>
        [...this.#pods.items.values()].find(
          ({ metadata }) => metadata.namespace === namespace && metadata.name === name,
        ),
      onMade: (object, { id }) => {
        this.#made.set(id, object);
        this.#reporter.changed(id);
      },
      log,
      signal,
    });
    this.#life.defer(() => this.#requests.idle());
    const onAsked = {
      parse: parseBackupObject,
      onChange: (object: BackupObject) => this.#requests.seen(object),
    };
    this.#pods = this.#life.use(
      kubernetes.watch({
        path: "/api/v1/pods",
        fieldSelector: `spec.nodeName=${kubernetes.nodeName}`,
        parse: parsePod,
        onChange: (pod) => this.#podChanged(pod),
        onSynced: () => this.#askAgain(),
      }),
    );
    this.#policies = this.#life.use(
      kubernetes.watch({
        path: allPolicies,
        parse: parsePolicy,
        onChange: () => this.#decideAll(),
        onRemove: () => this.#decideAll(),
        onSynced: () => this.#decideAll(),
      }),
    );
    this.#own = this.#life.use(
      kubernetes.watch({
        ...onAsked,
        path: allBackups,
        labelSelector: `${nodeLabel}=${nodeValue(kubernetes.nodeName)}`,
        onSynced: () => this.#reportAll(),
      }),
    );
    this.#asked = this.#life.use(
      kubernetes.watch({ ...onAsked, path: allBackups, labelSelector: `!${nodeLabel}` }),
    );
    const following = this.#follow(signal);
    this.#life.defer(() => following);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#life[Symbol.asyncDispose]();
  }

  /** Whether all that concerns this node was read once. */
  get isSynced(): boolean {
    return this.#watches.every(({ isSynced }) => isSynced);
  }

  /** This node's pods with the reason of their state, for people. */
  podsSeen(): readonly string[] {
    return [...this.#pods.items.values()].map(
      ({ metadata, status }) => `${metadata.name} ${status?.reason ?? ""}`,
    );
  }

  get #watches(): readonly Pick<Watch<Pod>, "isSynced" | "failure">[] {
    return [this.#pods, this.#policies, this.#own, this.#asked];
  }

  /** Why the cluster cannot be followed; undefined when it is. */
  get failure(): string | undefined {
    return this.#watches.find(({ failure }) => failure !== undefined)?.failure;
  }

  async #follow(signal: AbortSignal): Promise<void> {
    try {
      for await (const { subject } of this.#options.backups.phaseChanges(signal))
        this.#reporter.changed(subject);
    } catch (error) {
      if (!signal.aborted)
        this.#options.log.error({ error: errorMessage(error) }, "backups are not followed");
    }
  }

  #shown(id: string): BackupObject | undefined {
    return [...this.#own.items.values()].find(({ status }) => status?.id === id);
  }

  /** What happened while the agent or the API server was away. */
  #reportAll(): void {
    const since = BigInt(Date.now()) * 1_000_000n - recentNs;
    for (const { id, state, createdAt } of this.#options.backups.own()) {
      const shown = this.#shown(id)?.status?.phase;
      if (shown !== "Stored" && (state !== "stored" || shown !== undefined || createdAt > since))
        this.#reporter.changed(id);
    }
  }

  #podChanged(pod: Pod): void {
    this.#decide(pod);
    if (pod.status?.reason === "Evicted")
      this.#options.ends
        .note(pod.metadata.uid, "evicted")
        .catch((error: unknown) =>
          this.#options.log.error(
            { pod: pod.metadata.name, error: errorMessage(error) },
            "eviction not noted",
          ),
        );
    this.#askAgain();
  }

  /** A request may have come before its pod was known. */
  #askAgain(): void {
    for (const watch of [this.#asked, this.#own])
      for (const object of watch.items.values()) this.#requests.seen(object);
  }

  #decideAll(): void {
    for (const pod of this.#pods.items.values()) this.#decide(pod);
  }

  #decide(pod: Pod): void {
    const { policyLabels, kubernetes, log } = this.#options;
    // Until the policies were read once, what an earlier process decided stands.
    if (!this.#policies.isSynced) return;
    const { labels, disputes } = decide(pod, this.#policies.items.values());
    const { uid, name, namespace = "" } = pod.metadata;
    policyLabels
      .decided(uid, labels)
      .catch((error: unknown) => log.error({ pod: name, error: errorMessage(error) }, "policy not noted"));
    const about = { apiVersion: "v1", kind: "Pod", namespace, name, uid };
    for (const message of disputes)
      kubernetes.tell({ about, type: "Warning", reason: "PoliciesDisagree", message });
  }
}
