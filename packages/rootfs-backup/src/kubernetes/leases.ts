import { metadataSchema, parserOf, type Kubernetes } from "@aeon/kube";
import * as v from "valibot";

const lease = v.object({
  metadata: metadataSchema,
  spec: v.object({
    holderIdentity: v.nullish(v.string(), ""),
    leaseDurationSeconds: v.nullish(v.number(), 0),
    renewTime: v.nullish(v.string(), ""),
    leaseTransitions: v.nullish(v.number(), 0),
  }),
});
/** A lease of the agents' namespace. */
export type Lease = v.InferOutput<typeof lease>;
export const parseLease = parserOf(lease);
const parseLeases = parserOf(v.object({ items: v.nullish(v.array(lease), []) }));

export const leasesPath = (namespace: string): string =>
  `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;

/** The leases with a label, as they are now. */
export async function leasesOf(
  kubernetes: Kubernetes,
  labelSelector: string,
  signal: AbortSignal,
): Promise<readonly Lease[]> {
  const query = new URLSearchParams({ labelSelector });
  const list = await kubernetes.get(
    `${leasesPath(kubernetes.agentNamespace)}?${query.toString()}`,
    parseLeases,
    signal,
  );
  return list?.items ?? [];
}
