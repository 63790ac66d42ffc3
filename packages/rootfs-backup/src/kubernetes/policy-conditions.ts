import { errorMessage } from "@aeon/core";
import { metadataSchema, parseAny, parserOf, type Kubernetes } from "@aeon/kube";
import * as v from "valibot";
import { parseSchedule } from "../capture/schedule.ts";
import { allPolicies, apiVersion, policyPath, policySpecSchema } from "./api.ts";

const text = v.optional(v.string());
const policy = v.object({
  metadata: metadataSchema,
  spec: policySpecSchema,
  status: v.optional(
    v.object({
      conditions: v.optional(
        v.array(
          v.object({
            type: v.string(),
            reason: v.string(),
            observedGeneration: v.optional(v.number()),
            message: text,
          }),
        ),
        [],
      ),
    }),
  ),
});
type Judged = v.InferOutput<typeof policy>;
const parsePolicies = parserOf(v.object({ items: v.nullish(v.array(policy), []) }));

const type = "Accepted";

interface Verdict {
  readonly status: "True" | "False";
  readonly reason: "Accepted" | "SelectsAll" | "ScheduleInvalid";
  readonly message?: string;
}

/** What is to be said of a policy to whoever wrote it. */
async function verdictOf({ spec, metadata }: Judged): Promise<Verdict> {
  if (spec.schedule !== undefined)
    try {
      await parseSchedule(spec.schedule);
    } catch (error) {
      return { status: "False", reason: "ScheduleInvalid", message: errorMessage(error).slice(0, 1000) };
    }
  if (Object.keys(spec.selector.matchLabels).length > 0) return { status: "True", reason: "Accepted" };
  const message = `all pods of namespace ${metadata.namespace ?? ""} are kept`;
  return { status: "True", reason: "SelectsAll", message };
}

/** Writes into each policy's status what is to be said of it, where that changed. */
export async function tellOfPolicies(kubernetes: Kubernetes, signal: AbortSignal): Promise<void> {
  const list = await kubernetes.get(allPolicies, parsePolicies, signal);
  for (const each of list?.items ?? []) {
    const { namespace = "", name, generation } = each.metadata;
    const verdict = await verdictOf(each);
    const shown = each.status?.conditions.find((condition) => condition.type === type);
    if (shown?.reason === verdict.reason && shown.observedGeneration === generation) continue;
    const condition = {
      type,
      ...verdict,
      lastTransitionTime: new Date().toISOString().replace(/\.\d{3}Z$/, "Z"),
      ...(generation !== undefined && { observedGeneration: generation }),
    };
    const object = {
      apiVersion,
      kind: "RootfsBackupPolicy",
      metadata: { name },
      status: { conditions: [condition] },
    };
    await kubernetes.apply({ path: `${policyPath(namespace, name)}/status`, object }, parseAny, signal);
  }
}
