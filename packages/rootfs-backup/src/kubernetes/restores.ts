import { backupId, errorMessage, isAeonError, type BackupId, type Logger } from "@aeon/core";
import { parseAny, parserOf, type Kubernetes } from "@aeon/kube";
import * as v from "valibot";
import { present } from "../present.ts";
import type { Choice } from "../records/choice-records.ts";
import type { Starts } from "../restore/choices.ts";
import { chainOf } from "../store/chain-of.ts";
import type { Backup } from "../backup.ts";
import {
  apiVersion,
  backupPath,
  labelValue,
  nodeLabel,
  parseBackupObject,
  restoreObjectSchema,
  restorePath,
  restoresIn,
  type Pod,
  type RestoreObject,
} from "./api.ts";

export interface RestoresOptions {
  readonly kubernetes: Kubernetes;
  readonly starts: Starts;
  /** Undefined when there is no such backup. */
  readonly find: (id: BackupId, signal: AbortSignal) => Promise<Backup | undefined>;
  /** A pod of this node. */
  readonly pod: (namespace: string, name: string) => Pod | undefined;
  /** All RootfsRestores that are known: those of this node, and those of none. */
  readonly objects: () => Iterable<RestoreObject>;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

const parseRestores = parserOf(v.object({ items: v.nullish(v.array(restoreObjectSchema), []) }));
const retryMs = 2000;
const head = { apiVersion, kind: "RootfsRestore" };
type Phase = NonNullable<NonNullable<RestoreObject["status"]>["phase"]>;

const idOf = ({ metadata }: RestoreObject): string =>
  `${metadata.namespace ?? ""}/${metadata.name}/${metadata.uid}`;

/** Heeds RootfsRestores whose pods are on this node: the next start of the container gets the files. */
export class Restores {
  readonly #options: RestoresOptions;
  readonly #working = new Map<string, Promise<void>>();
  /** What was written last, so that nothing is written twice. */
  readonly #written = new Map<string, string>();
  readonly #again = new Set<string>();
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(options: RestoresOptions) {
    this.#options = options;
    options.signal.addEventListener("abort", () => this.#timers.forEach(clearTimeout), { once: true });
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.#working.values());
  }

  /** Resolves when all that was asked for the pod until now is known to the node. */
  async ready(namespace: string, pod: string): Promise<void> {
    const concerned = [...this.#options.objects()].filter((each) => isAbout(each, namespace, pod));
    for (const each of concerned) this.seen(each);
    await Promise.allSettled(concerned.flatMap((each) => this.#working.get(idOf(each)) ?? []));
  }

  /** Takes over what another node was to heed for an earlier pod of the name. Rejects when the cluster does not answer. */
  async adopt(namespace: string, pod: string): Promise<void> {
    const { kubernetes, signal } = this.#options;
    const list = await kubernetes.get(restoresIn(namespace), parseRestores, signal);
    const own = labelValue(kubernetes.nodeName);
    for (const object of list?.items ?? []) {
      const { name, labels } = object.metadata;
      if (!isAbout(object, namespace, pod) || isOver(object.status?.phase)) continue;
      if (labels?.[nodeLabel] !== own)
        await kubernetes.merge(
          restorePath(namespace, name),
          { metadata: { labels: { [nodeLabel]: own } } },
          signal,
        );
      const adopted = { ...object.metadata, labels: { ...labels, [nodeLabel]: own } };
      this.seen({ ...object, metadata: adopted });
      await this.#working.get(idOf(object));
    }
  }

  /** Something about the pod changed. */
  podChanged(namespace: string, name: string): void {
    for (const object of this.#options.objects()) if (isAbout(object, namespace, name)) this.seen(object);
  }

  /** The object is new or different, or its pod is. */
  seen(object: RestoreObject): void {
    const id = idOf(object);
    const { log, signal } = this.#options;
    if (signal.aborted) return;
    if (this.#working.has(id)) {
      this.#again.add(id);
      return;
    }
    const work = this.#heed(object, id)
      .catch((error: unknown) => {
        if (signal.aborted) return;
        log.warn({ restore: id, error: errorMessage(error) }, "restore not heeded yet");
        this.#later(id);
      })
      .finally(() => {
        this.#working.delete(id);
        if (this.#again.delete(id)) this.#repeat(id);
      });
    this.#working.set(id, work);
  }

  /** The object is gone, or no longer this node's. */
  gone(object: RestoreObject): void {
    const id = idOf(object);
    this.#written.delete(id);
    this.#options.starts
      .forget(id)
      .catch((error: unknown) =>
        this.#options.log.error({ restore: id, error: errorMessage(error) }, "restore not taken back"),
      );
  }

  /** Takes back what was asked for by objects that went while nobody watched. */
  async reconcile(): Promise<void> {
    const { kubernetes, starts, signal } = this.#options;
    const known = new Set([...this.#options.objects()].map(idOf));
    for (const { id } of starts.choices) {
      if (known.has(id)) continue;
      const [namespace = "", name = "", uid] = id.split("/");
      const object = await kubernetes.get(restorePath(namespace, name), parseAny, signal);
      if (object?.metadata.uid !== uid) await starts.forget(id);
    }
  }

  #repeat(id: string): void {
    for (const object of this.#options.objects()) if (idOf(object) === id) this.seen(object);
  }

  #later(id: string): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#repeat(id);
    }, retryMs).unref();
    this.#timers.add(timer);
  }

  async #heed(object: RestoreObject, id: string): Promise<void> {
    const { starts, pod: find } = this.#options;
    const { metadata, spec, status } = object;
    const choice = starts.choices.find((each) => each.id === id);
    if (metadata.deletionTimestamp !== undefined || isOver(status?.phase)) {
      if (choice !== undefined) await starts.forget(id);
      return;
    }
    const pod = find(metadata.namespace ?? "", spec.pod);
    if (choice !== undefined && choice.state !== "pending") {
      await this.#write(object, choice.state === "done" ? "Restored" : "Failed", choice.failure);
      await starts.forget(id);
      return;
    }
    if (pod === undefined) await this.#release(object, choice);
    else if (choice === undefined) await this.#choose(object, pod, id);
    else await this.#write(object, choice.failure === undefined ? "Waiting" : "Restoring", choice.failure);
  }

  /** The pod went before it started; whichever node gets the next one of its name takes over. */
  async #release(object: RestoreObject, choice: Choice | undefined): Promise<void> {
    const { kubernetes, starts, signal } = this.#options;
    const { namespace = "", name, labels } = object.metadata;
    if (choice !== undefined) await starts.forget(choice.id);
    if (labels?.[nodeLabel] !== labelValue(kubernetes.nodeName)) return;
    await this.#write(object, "Pending", undefined);
    await kubernetes.merge(
      restorePath(namespace, name),
      { metadata: { labels: { [nodeLabel]: null } } },
      signal,
    );
  }

  async #choose(object: RestoreObject, pod: Pod, id: string): Promise<void> {
    const { kubernetes, starts, signal } = this.#options;
    const { namespace = "", name, labels } = object.metadata;
    const { container } = object.spec;
    if (labels?.[nodeLabel] === undefined)
      await kubernetes.merge(
        restorePath(namespace, name),
        { metadata: { labels: { [nodeLabel]: labelValue(kubernetes.nodeName) } } },
        signal,
      );
    if (!pod.spec.containers.some((each) => each.name === container)) {
      await this.#write(object, "Failed", `pod ${pod.metadata.name} has no container ${container}`);
      return;
    }
    const backup = await this.#backupOf(object);
    if (typeof backup !== "string") {
      await this.#write(object, "Failed", backup.why);
      return;
    }
    await starts.choose({
      id,
      pod: { namespace, name: object.spec.pod, container },
      backup,
      requestedAt: BigInt(Date.now()) * 1_000_000n,
    });
    await this.#write(object, "Waiting", undefined);
  }

  /** By the name of a RootfsBackup, or its own in the store; never one of another namespace. */
  async #backupOf({ metadata, spec }: RestoreObject): Promise<BackupId | { readonly why: string }> {
    const { kubernetes, find, signal } = this.#options;
    const { namespace = "" } = metadata;
    const shown = await kubernetes.get(backupPath(namespace, spec.backup), parseBackupObject, signal);
    const unknown = { why: `there is no backup ${spec.backup} in namespace ${namespace}` };
    if (shown !== undefined && shown.status?.id === undefined)
      return { why: `RootfsBackup ${spec.backup} has no backup: it is ${shown.status?.phase ?? "Pending"}` };
    const id = backupId(shown?.status?.id ?? spec.backup);
    try {
      const backup = await find(id, signal);
      return backup !== undefined && chainOf(backup).tenant === namespace && backup.pod !== undefined
        ? backup.id
        : unknown;
    } catch (error) {
      if (isAeonError(error, "invalid-argument")) return unknown;
      throw error;
    }
  }

  async #write(object: RestoreObject, phase: Phase, reason: string | undefined): Promise<void> {
    const { kubernetes, starts, signal } = this.#options;
    const { namespace = "", name, uid, generation } = object.metadata;
    const id = idOf(object);
    const text = reason === "" ? undefined : reason?.slice(0, 4096);
    const key = `${phase}\0${text ?? ""}`;
    if (this.#written.get(id) === key) return;
    if (object.status?.phase === phase && object.status.reason === text) return;
    const now = new Date().toISOString().replace(/\.\d{3}Z$/, "Z");
    const backup = starts.choices.find((each) => each.id === id)?.backup;
    const status = {
      phase,
      conditions: [
        {
          type: "Restored",
          status: phase === "Restored" ? "True" : "False",
          reason: phase,
          lastTransitionTime: now,
          ...present({ message: text, observedGeneration: generation }),
        },
      ],
      ...(phase !== "Pending" && { node: kubernetes.nodeName }),
      ...present({ backup, reason: text, completionTime: isOver(phase) ? now : undefined }),
    };
    const path = `${restorePath(namespace, name)}/status`;
    await kubernetes.apply({ path, object: { ...head, metadata: { name }, status } }, parseAny, signal);
    this.#written.set(id, key);
    kubernetes.tell({
      about: { ...head, namespace, name, uid },
      type: phase === "Failed" || text !== undefined ? "Warning" : "Normal",
      reason: phase,
      message: text ?? messages[phase],
    });
  }
}

const messages: Readonly<Record<Phase, string>> = {
  Pending: "waits for a pod of that name",
  Waiting: "waits for the next start of the container",
  Restoring: "the container is being started with the backup",
  Restored: "the container has started with the backup",
  Failed: "nothing was restored",
};

const isOver = (phase: string | undefined): boolean => phase === "Restored" || phase === "Failed";

const isAbout = ({ metadata, spec }: RestoreObject, namespace: string, pod: string): boolean =>
  metadata.namespace === namespace && spec.pod === pod;
