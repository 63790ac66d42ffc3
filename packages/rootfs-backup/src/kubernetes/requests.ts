import { containerId, errorMessage, isAeonError, namespace, type Logger } from "@aeon/core";
import { parseAny, type Kubernetes } from "@aeon/kube";
import type { Backup } from "../backup.ts";
import type { CaptureCall, CaptureRequest } from "../capture/live-capturer.ts";
import {
  apiVersion,
  backupPath,
  labelValue,
  nodeLabel,
  podLabel,
  type BackupObject,
  type Pod,
} from "./api.ts";
import { takeBack } from "./lost-nodes.ts";

export interface RequestsOptions {
  readonly kubernetes: Kubernetes;
  readonly create: (request: CaptureRequest, call: CaptureCall) => Promise<Backup>;
  /** A pod of this node. */
  readonly pod: (namespace: string, name: string) => Pod | undefined;
  /** Called when a backup was made for an object. */
  readonly onMade: (object: BackupObject, backup: Backup) => void;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

interface Taking {
  readonly work: Promise<void>;
  readonly podUid: string;
  readonly container: string;
}

const head = { apiVersion, kind: "RootfsBackup" };
const answeredLimit = 1000;

/** Takes the backups that people ask for by creating RootfsBackups, of pods on this node. */
export class Requests {
  readonly #options: RequestsOptions;
  readonly #running = new Map<string, Taking>();
  /** Objects for which a backup was made, which their status does not say yet: others may change them before it does. */
  readonly #answered = new Set<string>();

  constructor(options: RequestsOptions) {
    this.#options = options;
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    await Promise.allSettled([...this.#running.values()].map(({ work }) => work));
  }

  /** Whether a backup of the container is being taken, which will belong to an object that is there already. */
  isTaking(podUid: string, container: string): boolean {
    return [...this.#running.values()].some((each) => each.podUid === podUid && each.container === container);
  }

  /** An object that may be a request which nobody has heeded yet, or which an agent died over. */
  seen(object: BackupObject): void {
    const { uid, namespace: space = "", deletionTimestamp } = object.metadata;
    const { id, phase } = object.status ?? {};
    if (deletionTimestamp !== undefined || id !== undefined || (phase !== undefined && phase !== "Pending")) {
      this.#answered.delete(uid);
      return;
    }
    const pod = this.#options.pod(space, object.spec.pod);
    if (pod === undefined || this.#running.has(uid) || this.#answered.has(uid)) return;
    const work = this.#take(object, pod)
      .catch((error: unknown) =>
        this.#options.log.warn(
          { object: object.metadata.name, error: errorMessage(error) },
          "request not heeded",
        ),
      )
      .finally(() => this.#running.delete(uid));
    this.#running.set(uid, { work, podUid: pod.metadata.uid, container: object.spec.container });
  }

  async #take(object: BackupObject, pod: Pod): Promise<void> {
    const { kubernetes, create, onMade, signal } = this.#options;
    const { namespace: space = "", name } = object.metadata;
    const path = backupPath(space, name);
    const labels = {
      [nodeLabel]: labelValue(kubernetes.nodeName),
      [podLabel]: labelValue(object.spec.pod),
    };
    if (object.metadata.labels?.[nodeLabel] === undefined)
      await kubernetes.merge(path, { metadata: { labels } }, signal);
    if (object.status?.phase === "Pending") await this.#takeOver(object, path);
    try {
      const status = pod.status?.containerStatuses.find((each) => each.name === object.spec.container);
      const id = status?.containerID?.replace(/^containerd:\/\//, "");
      if (id === undefined)
        throw new TypeError(`pod ${pod.metadata.name} has no running container ${object.spec.container}`);
      const { maxPause } = object.spec;
      const pause =
        maxPause === undefined ? {} : { pause: { maxMs: maxPause * 1000, otherwise: "live" } as const };
      const request = {
        namespace: namespace("k8s.io"),
        containerId: containerId(id),
        trigger: "manual",
        ...pause,
      } as const;
      const backup = await create(request, { signal });
      this.#remember(object.metadata.uid);
      onMade(object, backup);
    } catch (error) {
      signal.throwIfAborted();
      const busy = isAeonError(error, "CAPTURE_RUNNING");
      await this.#refuse(
        path,
        name,
        busy ? "another backup of the container is under way" : errorMessage(error),
      );
    }
  }

  #remember(uid: string): void {
    this.#answered.add(uid);
    // Those that were deleted meanwhile are never seen with a status.
    const [oldest] = this.#answered;
    if (this.#answered.size > answeredLimit && oldest !== undefined) this.#answered.delete(oldest);
  }

  /** Others said what it waits for while they took this node for lost. A status that is left empty is refused. */
  async #takeOver(object: BackupObject, path: string): Promise<void> {
    const { kubernetes, signal } = this.#options;
    await this.#show(path, object.metadata.name, { phase: "Pending", node: kubernetes.nodeName });
    await takeBack(kubernetes, object, signal);
  }

  #refuse(path: string, name: string, why: string): Promise<void> {
    const { nodeName } = this.#options.kubernetes;
    return this.#show(path, name, { phase: "Failed", node: nodeName, reason: why.slice(0, 4096) });
  }

  async #show(path: string, name: string, status: object): Promise<void> {
    const { kubernetes, signal } = this.#options;
    const object = { ...head, metadata: { name }, status };
    await kubernetes.apply({ path: `${path}/status`, object }, parseAny, signal);
  }
}
