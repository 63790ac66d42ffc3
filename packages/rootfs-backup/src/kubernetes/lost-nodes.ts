import { backupId, errorMessage, Lifetime, type BackupId, type Logger } from "@aeon/core";
import { parseAny, parserOf, type Kubernetes } from "@aeon/kube";
import * as v from "valibot";
import type { Backup } from "../backup.ts";
import {
  allBackups,
  allRestores,
  apiVersion,
  backupObjectSchema,
  backupPath,
  labelValue,
  nodeLabel,
  parsePod,
  podPath,
  restoreObjectSchema,
  restorePath,
  type BackupObject,
} from "./api.ts";
import { statusOf } from "./backup-status.ts";
import { agentLabel } from "./heartbeat.ts";
import { leasesOf } from "./leases.ts";
import { PolicyTeller } from "./policy-conditions.ts";
import { showStatus } from "./show-status.ts";
import { Turn } from "./turn.ts";

export interface LostNodesOptions {
  readonly kubernetes: Kubernetes;
  /** In the store that all nodes share; undefined when it is not there. */
  readonly find: (id: BackupId, signal: AbortSignal) => Promise<Backup | undefined>;
  readonly log: Logger;
}

const parseBackups = parserOf(v.object({ items: v.nullish(v.array(backupObjectSchema), []) }));
const parseRestores = parserOf(v.object({ items: v.nullish(v.array(restoreObjectSchema), []) }));
const head = { apiVersion, kind: "RootfsBackup" };

/** Owns what the others say of a lost node's backup, so that the node's agent can take it all back at once. */
const lostManager = "aeon-lost-nodes";

interface Beat {
  readonly renewed: string;
  readonly at: number;
}

/**
 * Says of backups under way on nodes whose agents are no longer heard of that they are lost, or stored where the
 * store has them, and tells people of their policies. One agent of the cluster does so at a time. When a node comes
 * back, its own agent's word counts.
 */
export class LostNodes implements AsyncDisposable {
  readonly #options: LostNodesOptions;
  readonly #life = new Lifetime();
  readonly #turn: Turn;
  readonly #policies: PolicyTeller;
  /** When each node's lease was last seen to change, by this node's clock. */
  readonly #beats = new Map<string, Beat>();
  #looking: Promise<void> | undefined;

  constructor(options: LostNodesOptions) {
    this.#options = options;
    const { heartbeatMs } = options.kubernetes;
    this.#turn = new Turn(options.kubernetes, 4 * heartbeatMs);
    this.#policies = new PolicyTeller(options.kubernetes, 6 * heartbeatMs, options.log);
    // Not all at the same moment after a change of version.
    const every = heartbeatMs * (1 + Math.random() / 2);
    const timer = setInterval(() => this.#tick(), every).unref();
    this.#life.defer(async () => {
      clearInterval(timer);
      await this.#looking;
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#life[Symbol.asyncDispose]();
  }

  #tick(): void {
    this.#looking ??= this.#look()
      .catch((error: unknown) => {
        if (!this.#life.signal.aborted)
          this.#options.log.warn({ error: errorMessage(error) }, "lost nodes are not looked for");
      })
      .finally(() => {
        this.#looking = undefined;
      });
  }

  async #look(): Promise<void> {
    const { kubernetes } = this.#options;
    const { signal } = this.#life;
    if (!(await this.#turn.take(signal))) {
      this.#beats.clear();
      return;
    }
    await this.#policies.look(signal);
    const now = performance.now();
    for (const { metadata, spec } of await leasesOf(kubernetes, `${agentLabel}=true`, signal)) {
      const node = metadata.labels?.[nodeLabel];
      if (node === undefined || spec.holderIdentity === kubernetes.nodeName) continue;
      const known = this.#beats.get(node);
      if (known?.renewed !== spec.renewTime)
        this.#beats.set(node, { renewed: spec.renewTime ?? "", at: now });
      else if (now - known.at > (spec.leaseDurationSeconds ?? 0) * 1000) await this.#lost(node);
    }
  }

  async #lost(node: string): Promise<void> {
    const { kubernetes, log } = this.#options;
    const { signal } = this.#life;
    const query = new URLSearchParams({ labelSelector: `${nodeLabel}=${node}` }).toString();
    const backups = await kubernetes.get(`${allBackups}?${query}`, parseBackups, signal);
    for (const object of backups?.items ?? [])
      try {
        await this.#judge(object);
      } catch (error) {
        signal.throwIfAborted();
        const { name } = object.metadata;
        // One that cannot be judged, as its store does not answer, must not hide the others; the next look tries again.
        log.warn({ backup: name, error: errorMessage(error) }, "backup of a lost node is not judged yet");
      }
    await this.#unheeded(node);
    const restores = await kubernetes.get(`${allRestores}?${query}`, parseRestores, signal);
    for (const { metadata, status } of restores?.items ?? []) {
      if (status?.phase === "Restored" || status?.phase === "Failed") continue;
      // Whichever node gets the next pod of that name takes it over.
      const path = restorePath(metadata.namespace ?? "", metadata.name);
      await kubernetes.merge(path, { metadata: { labels: { [nodeLabel]: null } } }, signal);
    }
  }

  /** Says of backups that people ask for, of pods on the node, what they wait for; the node's agent heeds them later. */
  async #unheeded(node: string): Promise<void> {
    const { kubernetes } = this.#options;
    const { signal } = this.#life;
    const query = new URLSearchParams({ labelSelector: `!${nodeLabel}` }).toString();
    const asked = await kubernetes.get(`${allBackups}?${query}`, parseBackups, signal);
    for (const { metadata, spec, status: known } of asked?.items ?? []) {
      if (known?.phase !== undefined) continue;
      const { namespace = "", name } = metadata;
      const pod = await kubernetes.get(podPath(namespace, spec.pod), parsePod, signal);
      if (labelValue(pod?.spec.nodeName ?? "") !== node) continue;
      const reason = `node ${pod?.spec.nodeName} is not heard of; its agent takes the backup when it comes back`;
      const status = { phase: "Pending", reason };
      await showStatus(kubernetes, { namespace, name, status, manager: lostManager }, signal);
    }
  }

  async #judge({ metadata, status }: BackupObject): Promise<void> {
    const { kubernetes, find, log } = this.#options;
    const { signal } = this.#life;
    const { namespace = "", name, uid } = metadata;
    if (status?.phase === "Stored" || status?.phase === "NodeLost") return;
    if (status?.phase === "Failed" && status.id === undefined) return;
    const stored = status?.id === undefined ? undefined : await find(backupId(status.id), signal);
    const node = status?.node ?? "";
    const reason = `node ${node} is not heard of; what it has not stored is there until it comes back`;
    const said =
      stored?.state === "stored"
        ? statusOf(stored, node)
        : { ...(status?.id !== undefined && { id: status.id }), phase: "NodeLost", reason };
    await showStatus(kubernetes, { namespace, name, status: said, manager: lostManager }, signal);
    log.warn({ backup: name, namespace, node, phase: said.phase }, "backup of a node that is lost");
    kubernetes.tell({
      about: { ...head, namespace, name, uid },
      type: stored === undefined ? "Warning" : "Normal",
      reason: said.phase,
      message: stored === undefined ? reason : `node ${node} is lost, and the store has the backup`,
    });
  }
}

/** Takes back what the others said of a backup of this node while they took it for lost. */
export async function takeBack(
  kubernetes: Kubernetes,
  { metadata: { namespace = "", name } }: BackupObject,
  signal: AbortSignal,
): Promise<void> {
  const path = `${backupPath(namespace, name)}/status`;
  const object = { ...head, metadata: { name } };
  await kubernetes.apply({ path, object, manager: lostManager }, parseAny, signal);
}
