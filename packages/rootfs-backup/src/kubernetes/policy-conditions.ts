import { errorMessage, type Logger } from "@aeon/core";
import { metadataSchema, parseAny, parserOf, type Kubernetes } from "@aeon/kube";
import * as v from "valibot";
import { parseSchedule } from "../capture/schedule.ts";
import { allPolicies, apiVersion, policyPath, policySpecSchema } from "./api.ts";
import { countPods } from "./count-pods.ts";
import { retentionOf } from "./policy-retention.ts";

const text = v.optional(v.string());
const judged = v.object({
  metadata: metadataSchema,
  spec: policySpecSchema,
  status: v.optional(
    v.object({
      pods: v.optional(v.number()),
      conditions: v.optional(
        v.array(
          v.object({
            type: v.string(),
            status: v.string(),
            reason: v.string(),
            lastTransitionTime: v.string(),
            observedGeneration: v.optional(v.number()),
            message: text,
          }),
        ),
        [],
      ),
    }),
  ),
});
type Judged = v.InferOutput<typeof judged>;
const parsePolicies = parserOf(v.object({ items: v.nullish(v.array(judged), []) }));

const type = "Accepted";

interface Verdict {
  readonly status: "True" | "False";
  readonly reason: "Accepted" | "SelectsAll" | "ScheduleInvalid" | "RetentionInvalid";
  readonly message?: string;
}

const refused = (reason: Verdict["reason"], error: unknown): Verdict => ({
  status: "False",
  reason,
  message: errorMessage(error).slice(0, 1000),
});

/** What is to be said of a policy to whoever wrote it. */
async function verdictOf({ spec, metadata }: Judged): Promise<Verdict> {
  if (spec.schedule !== undefined)
    try {
      await parseSchedule(spec.schedule);
    } catch (error) {
      return refused("ScheduleInvalid", error);
    }
  try {
    retentionOf(spec);
  } catch (error) {
    return refused("RetentionInvalid", error);
  }
  if (Object.keys(spec.selector.matchLabels).length > 0) return { status: "True", reason: "Accepted" };
  const message = `all pods of namespace ${metadata.namespace ?? ""} are kept`;
  return { status: "True", reason: "SelectsAll", message };
}

/** Writes into policies' statuses what is to be said of them. */
export class PolicyTeller {
  readonly #kubernetes: Kubernetes;
  readonly #recountMs: number;
  readonly #log: Logger;
  /** When each policy's pods were counted last, and in which version of it. */
  readonly #counted = new Map<string, { readonly generation: number | undefined; readonly at: number }>();

  /** Pods are counted again after `recountMs`: the cluster does not tell how many there are. */
  constructor(kubernetes: Kubernetes, recountMs: number, log: Logger) {
    this.#kubernetes = kubernetes;
    this.#log = log;
    this.#recountMs = recountMs;
  }

  /** Looks at each policy, and writes where something changed. */
  async look(signal: AbortSignal): Promise<void> {
    const list = await this.#kubernetes.get(allPolicies, parsePolicies, signal);
    const policies = list?.items ?? [];
    const known = new Set(policies.map(({ metadata }) => metadata.uid));
    for (const uid of this.#counted.keys()) if (!known.has(uid)) this.#counted.delete(uid);
    for (const each of policies)
      try {
        await this.#tell(each, signal);
      } catch (error) {
        signal.throwIfAborted();
        const { namespace, name } = each.metadata;
        // One whose definition is older must not hide the others.
        this.#log.warn(
          { namespace, policy: name, error: errorMessage(error) },
          "policy's status not written",
        );
      }
  }

  async #tell(policy: Judged, signal: AbortSignal): Promise<void> {
    const { namespace = "", name, generation } = policy.metadata;
    const verdict = await verdictOf(policy);
    const pods = await this.#podsOf(policy, signal);
    const shown = policy.status?.conditions.find((condition) => condition.type === type);
    const isShown = shown?.reason === verdict.reason && shown.observedGeneration === generation;
    if (isShown && policy.status?.pods === pods) return;
    const condition = {
      type,
      ...verdict,
      lastTransitionTime:
        shown?.status === verdict.status
          ? shown.lastTransitionTime
          : `${new Date().toISOString().slice(0, 19)}Z`,
      ...(generation !== undefined && { observedGeneration: generation }),
    };
    const status = { conditions: [condition], ...(pods !== undefined && { pods }) };
    const object = { apiVersion, kind: "RootfsBackupPolicy", metadata: { name }, status };
    await this.#kubernetes.apply({ path: `${policyPath(namespace, name)}/status`, object }, parseAny, signal);
  }

  async #podsOf({ metadata, spec, status }: Judged, signal: AbortSignal): Promise<number | undefined> {
    const { uid, generation } = metadata;
    const before = this.#counted.get(uid);
    const now = performance.now();
    if (before?.generation === generation && before !== undefined && now - before.at < this.#recountMs)
      return status?.pods;
    const pods = await countPods(this.#kubernetes, { metadata, spec }, signal);
    this.#counted.set(uid, { generation, at: now });
    return pods;
  }
}
