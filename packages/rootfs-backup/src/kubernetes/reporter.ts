import { backupId, errorMessage, isAeonError, Lifetime, type BackupId, type Logger } from "@aeon/core";
import { parseAny, type Kubernetes } from "@aeon/kube";
import type { Backup } from "../backup.ts";
import { apiVersion, backupPath, labelValue, nodeLabel, podLabel, type BackupObject } from "./api.ts";
import { statusOf } from "./backup-status.ts";
import { showStatus } from "./show-status.ts";

export interface ReporterOptions {
  readonly kubernetes: Kubernetes;
  /** Undefined when the backup is gone. */
  readonly find: (id: BackupId, signal: AbortSignal) => Promise<Backup | undefined>;
  /** The object that shows a backup, when there is one. */
  readonly objectOf: (id: BackupId) => BackupObject | undefined;
  /** Whether the backup is about to belong to an object that somebody made to ask for it. */
  readonly isAwaited: (backup: Backup) => boolean;
  readonly log: Logger;
}

/** Writes of one backup before its end, and how far they are apart. */
const writesBeforeEnd = 5;
const apartMs = 2000;
const retryMs = [1000, 5000, 15_000, 30_000];
/** Backups whose state waits to be written; more are found again at the next start. */
const waitingLimit = 10_000;

interface Reported {
  writes: number;
  at: number;
}

const isEnd = ({ state }: Backup): boolean => state === "stored";

/** Shows this node's backups as RootfsBackups. What cannot be written waits here and is written later, as it is then. */
export class Reporter implements AsyncDisposable {
  readonly #options: ReporterOptions;
  readonly #life = new Lifetime();
  readonly #waiting = new Set<BackupId>();
  readonly #reported = new Map<BackupId, Reported>();
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;

  constructor(options: ReporterOptions) {
    this.#options = options;
    this.#life.defer(async () => {
      clearTimeout(this.#timer);
      await this.#running;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#life[Symbol.asyncDispose]();
  }

  /** Something about the backup may have changed. */
  changed(id: string): void {
    if (this.#waiting.size < waitingLimit) this.#waiting.add(backupId(id));
    this.#pump(0);
  }

  #pump(afterMs: number): void {
    if (this.#running !== undefined || this.#timer !== undefined || this.#life.signal.aborted) return;
    if (this.#waiting.size === 0) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#running = this.#round().finally(() => {
        this.#running = undefined;
        this.#pump(this.#failures === 0 ? apartMs / 4 : (retryMs[this.#failures - 1] ?? 30_000));
      });
    }, afterMs).unref();
  }

  async #round(): Promise<void> {
    for (const id of this.#waiting) {
      if (this.#life.signal.aborted) return;
      try {
        if (!(await this.#report(id))) continue;
        this.#failures = 0;
      } catch (error) {
        if (this.#life.signal.aborted) return;
        if (isGone(error)) {
          this.#waiting.delete(id);
          continue;
        }
        if (isAeonError(error, "KUBE_REFUSED")) {
          // One object must not keep the others waiting.
          this.#waiting.delete(id);
          this.#options.log.error(
            { backup: id, error: errorMessage(error) },
            "backup cannot be shown in Kubernetes",
          );
          continue;
        }
        this.#failures += 1;
        this.#options.log.warn(
          { backup: id, error: errorMessage(error) },
          "backup not shown in Kubernetes yet",
        );
        return;
      }
    }
  }

  /** False when it is too early to write again; it stays waiting. */
  async #report(id: BackupId): Promise<boolean> {
    const { kubernetes, find, objectOf } = this.#options;
    const { signal } = this.#life;
    const reported = this.#reported.get(id) ?? { writes: 0, at: -Infinity };
    const backup = await find(id, signal);
    if (backup?.pod === undefined) {
      this.#waiting.delete(id);
      return true;
    }
    if (this.#options.isAwaited(backup)) return false;
    const isLast = isEnd(backup);
    if (!isLast && performance.now() - reported.at < apartMs) return false;
    this.#waiting.delete(id);
    if (!isLast && reported.writes >= writesBeforeEnd) return true;
    const { namespace, name: podName, container } = backup.pod;
    const object = objectOf(id);
    const name = object?.metadata.name ?? id;
    const path = backupPath(namespace, name);
    const labels = {
      [nodeLabel]: labelValue(kubernetes.nodeName),
      [podLabel]: labelValue(podName),
    };
    const head = { apiVersion, kind: "RootfsBackup" };
    try {
      if (object === undefined && reported.writes === 0) {
        const spec = { pod: podName, container };
        await kubernetes.apply(
          { path, object: { ...head, metadata: { name, labels }, spec } },
          parseAny,
          signal,
        );
        reported.writes += 1;
      }
      const status = statusOf(backup, kubernetes.nodeName);
      await showStatus(kubernetes, { namespace, name, status }, signal);
    } catch (error) {
      this.#waiting.add(id);
      throw error;
    }
    reported.writes += 1;
    reported.at = performance.now();
    if (isLast) this.#reported.delete(id);
    else this.#reported.set(id, reported);
    return true;
  }
}

/** Nothing can be shown in a namespace that goes. */
const isGone = (error: unknown): boolean =>
  isAeonError(error, "KUBE_FORBIDDEN") && error.message.includes("being terminated");
