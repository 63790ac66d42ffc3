import { metadataSchema, parserOf, type Kubernetes } from "@aeon/kube";
import * as v from "valibot";
import type { Policy } from "./api.ts";

const pageSize = 500;
/** Pages read for one policy; a count that reaches them is the least there are. */
const mostPages = 40;

const parsePage = parserOf(
  v.object({
    metadata: v.object({ continue: v.nullish(v.string(), "") }),
    items: v.nullish(v.array(v.object({ metadata: v.pick(metadataSchema, ["name"]) })), []),
  }),
);

/** How many pods a policy selects now, up to 20 000. */
export async function countPods(
  kubernetes: Kubernetes,
  { metadata: { namespace = "" }, spec }: Pick<Policy, "metadata" | "spec">,
  signal: AbortSignal,
): Promise<number> {
  const labels = Object.entries(spec.selector.matchLabels).map(([name, value]) => `${name}=${value}`);
  let count = 0;
  let next = "";
  for (let page = 0; page < mostPages; page += 1) {
    const query = new URLSearchParams({ limit: String(pageSize) });
    if (labels.length > 0) query.set("labelSelector", labels.join(","));
    if (next !== "") query.set("continue", next);
    const path = `/api/v1/namespaces/${namespace}/pods?${query.toString()}`;
    const answer = await kubernetes.get(path, parsePage, signal);
    count += answer?.items.length ?? 0;
    next = answer?.metadata.continue ?? "";
    if (next === "") break;
  }
  return count;
}
