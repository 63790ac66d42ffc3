import { errorMessage, isAeonError, Lifetime, type BackupId, type Logger, type PodEnds } from "@aeon/core";
import type { Kubernetes, Watch } from "@aeon/kube";
import type { Backup } from "../backup.ts";
import type { BackupService } from "../backup-service.ts";
import type { PolicyLabels } from "../capture/policy-labels.ts";
import type { StartReport, Starts } from "../restore/choices.ts";
import {
  allBackups,
  allPolicies,
  allRestores,
  labelValue,
  nodeLabel,
  parseBackupObject,
  parsePod,
  parsePolicy,
  parseRestoreObject,
  type BackupObject,
  type Pod,
  type Policy,
  type RestoreObject,
} from "./api.ts";
import { BoundPods } from "./bound-pods.ts";
import { Heartbeat } from "./heartbeat.ts";
import { LostNodes, takeBack } from "./lost-nodes.ts";
import { PodWishes } from "./pod-wishes.ts";
import { Reporter } from "./reporter.ts";
import { Requests } from "./requests.ts";
import { Restores } from "./restores.ts";

export interface ControllerOptions {
  readonly kubernetes: Kubernetes;
  readonly backups: BackupService;
  readonly ends: PodEnds;
  readonly policyLabels: PolicyLabels;
  readonly starts: Starts;
  /** See {@link BoundPodsOptions.predecessorMs}. */
  readonly predecessorMs?: number;
  readonly log: Logger;
}

/** Backups older than this are not shown any more when they are not; nanoseconds. */
const recentNs = 24n * 3600n * 1_000_000_000n;

/**
 * Joins this node's backups with the cluster. A container's start waits for it only where it is told here that the
 * pod goes on with another one's files, and never for an API server that does not answer.
 */
export class Controller implements AsyncDisposable {
  readonly #options: ControllerOptions;
  readonly #life = new Lifetime();
  readonly #reporter: Reporter;
  readonly #requests: Requests;
  readonly #restores: Restores;
  readonly #bound: BoundPods;
  readonly #wishes: PodWishes;
  readonly #pods: Watch<Pod>;
  readonly #policies: Watch<Policy>;
  readonly #own: Watch<BackupObject>;
  readonly #asked: Watch<BackupObject>;
  readonly #ownRestores: Watch<RestoreObject>;
  readonly #askedRestores: Watch<RestoreObject>;
  /** Objects that people made, by the backup that was taken for them. */
  readonly #made = new Map<string, BackupObject>();

  constructor(options: ControllerOptions) {
    this.#options = options;
    const { kubernetes, backups, starts, log } = options;
    const { signal } = this.#life;
    const find = async (id: BackupId, call: AbortSignal): Promise<Backup | undefined> => {
      try {
        return await backups.get(id, call);
      } catch (error) {
        if (isAeonError(error, "BACKUP_NOT_FOUND")) return undefined;
        throw error;
      }
    };
    const podNamed = (namespace: string, name: string): Pod | undefined =>
      [...this.#pods.items.values()].find(
        ({ metadata }) => metadata.namespace === namespace && metadata.name === name,
      );
    this.#reporter = this.#life.use(
      new Reporter({
        kubernetes,
        find,
        isAwaited: ({ trigger, pod }) =>
          trigger === "manual" && pod !== undefined && this.#requests.isTaking(pod.uid, pod.container),
        objectOf: (id) => this.#made.get(id) ?? this.#shown(id),
        log,
      }),
    );
    this.#requests = new Requests({
      kubernetes,
      create: (request, call) => backups.create(request, call),
      pod: podNamed,
      onMade: (object, { id }) => {
        this.#made.set(id, object);
        this.#reporter.changed(id);
      },
      log,
      signal,
    });
    this.#life.defer(() => this.#requests.idle());
    const objects = (): readonly RestoreObject[] => [
      ...this.#ownRestores.items.values(),
      ...this.#askedRestores.items.values(),
    ];
    this.#restores = new Restores({ kubernetes, starts, find, pod: podNamed, objects, log, signal });
    this.#life.defer(() => this.#restores.idle());
    this.#wishes = new PodWishes({
      kubernetes,
      policyLabels: options.policyLabels,
      policies: () => (this.#policies.isSynced ? this.#policies.items.values() : undefined),
      log,
    });
    this.#bound = new BoundPods({
      kubernetes,
      backups,
      pod: (uid) => this.#pods.items.get(uid),
      isFollowing: () => this.#pods.isSynced && this.#pods.failure === undefined,
      wishes: (pod) => this.#wishes.of(pod),
      adopt: (namespace, name) => this.#restores.adopt(namespace, name),
      continues: (pod, key) => this.#wishes.continues(pod, key),
      predecessorMs: options.predecessorMs,
      log,
      signal,
    });
    const onAsked = {
      parse: parseBackupObject,
      onChange: (object: BackupObject) => this.#requestSeen(object),
    };
    this.#pods = this.#life.use(
      kubernetes.watch({
        path: "/api/v1/pods",
        fieldSelector: `spec.nodeName=${kubernetes.nodeName}`,
        parse: parsePod,
        onChange: (pod) => this.#podChanged(pod),
        onRemove: (pod) => this.#podGone(pod),
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
        labelSelector: `${nodeLabel}=${labelValue(kubernetes.nodeName)}`,
        onSynced: () => this.#reportAll(),
      }),
    );
    this.#asked = this.#life.use(
      kubernetes.watch({ ...onAsked, path: allBackups, labelSelector: `!${nodeLabel}` }),
    );
    const onRestores = {
      path: allRestores,
      parse: parseRestoreObject,
      onChange: (object: RestoreObject) => this.#restores.seen(object),
      onSynced: () => this.#restoresSynced(),
    };
    this.#ownRestores = this.#life.use(
      kubernetes.watch({
        ...onRestores,
        labelSelector: `${nodeLabel}=${labelValue(kubernetes.nodeName)}`,
        onRemove: (object) => this.#restores.gone(object),
      }),
    );
    this.#askedRestores = this.#life.use(kubernetes.watch({ ...onRestores, labelSelector: `!${nodeLabel}` }));
    this.#life.use(
      starts.gate(async (pod, call) => {
        await this.#bound.ready(pod, call);
        await this.#restores.ready(pod.namespace, pod.name);
      }),
    );
    this.#life.use(starts.observe((report) => this.#started(report)));
    this.#life.use(new Heartbeat({ kubernetes, log }));
    this.#life.use(new LostNodes({ kubernetes, find, log }));
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
    return [this.#pods, this.#policies, this.#own, this.#asked, this.#ownRestores, this.#askedRestores];
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

  #requestSeen(object: BackupObject): void {
    this.#requests.seen(object);
    const { kubernetes, log } = this.#options;
    const { id, phase } = object.status ?? {};
    const node = object.metadata.labels?.[nodeLabel];
    if (phase !== "NodeLost" || node !== labelValue(kubernetes.nodeName)) return;
    takeBack(kubernetes, object, this.#life.signal)
      .then(() => (id === undefined ? undefined : this.#reporter.changed(id)))
      .catch((error: unknown) => {
        if (!this.#life.signal.aborted)
          log.warn(
            { backup: object.metadata.name, error: errorMessage(error) },
            "backup is still shown as lost",
          );
      });
  }

  #restoresSynced(): void {
    if (!this.#ownRestores.isSynced || !this.#askedRestores.isSynced) return;
    this.#restores
      .reconcile()
      .catch((error: unknown) =>
        this.#options.log.warn(
          { error: errorMessage(error) },
          "restores are not compared with the cluster's",
        ),
      );
  }

  /** Tells people how a start fares that has files to get. */
  #started({ pod, state, message }: StartReport): void {
    const { namespace, name, uid, container } = pod;
    this.#restores.podChanged(namespace, name);
    const reasons = { waiting: "WaitsForFiles", restored: "FilesRestored", failed: "FilesNotRestored" };
    this.#options.kubernetes.tell({
      about: { apiVersion: "v1", kind: "Pod", namespace, name, uid },
      type: state === "failed" ? "Warning" : "Normal",
      reason: reasons[state],
      message: `container ${container} ${message}`,
    });
  }

  #podGone(pod: Pod): void {
    this.#wishes.gone(pod);
    this.#bound.gone(pod);
    this.#restores.podChanged(pod.metadata.namespace ?? "", pod.metadata.name);
  }

  #podChanged(pod: Pod): void {
    this.#wishes.changed(pod);
    this.#bound.seen(pod);
    this.#restores.podChanged(pod.metadata.namespace ?? "", pod.metadata.name);
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
    for (const pod of this.#pods.items.values()) {
      this.#wishes.changed(pod);
      this.#bound.seen(pod);
    }
  }
}
