import { isAeonError } from "@aeon/core";
import { parseAny, type Kubernetes } from "@aeon/kube";
import { podPath, podSchema, shortHash, type Pod } from "./api.ts";
import { parserOf } from "@aeon/kube";
import { leasesOf, leasesPath, type Lease } from "./leases.ts";

/** On leases of slots: the workload. */
const slotsLabel = "backup.container.io/slots-of";
const prefix = "backup.container.io/";
const attempts = 20;

/** A pod's place among the replicas of a workload whose pods have no names of their own. */
export interface Slot {
  readonly number: number;
  /** The workload of the chain that the pod continues. */
  readonly key: string;
  /** Who had the slot before; may still be ending. */
  readonly predecessor?: { readonly name: string; readonly uid: string };
}

/** The Deployment that a pod is of; undefined for pods of others. */
export function deploymentOf({ metadata }: Pod): string | undefined {
  const owner = metadata.ownerReferences?.find(({ controller }) => controller === true);
  const hash = metadata.labels?.["pod-template-hash"];
  if (owner?.kind !== "ReplicaSet" || hash === undefined) return undefined;
  return owner.name.endsWith(`-${hash}`) ? owner.name.slice(0, -hash.length - 1) : undefined;
}

const parsePod = parserOf(podSchema);

/** Gives each pod of a Deployment a slot that no other pod has, by leases that are only replaced in the version read. */
export class Slots {
  readonly #kubernetes: Kubernetes;

  constructor(kubernetes: Kubernetes) {
    this.#kubernetes = kubernetes;
  }

  /**
   * The slot of the pod: its own, else the lowest whose pod is gone or ends, else a new one. Slots in `without` are
   * not taken over.
   */
  async take(
    pod: Pod,
    deployment: string,
    signal: AbortSignal,
    without: readonly number[] = [],
  ): Promise<Slot> {
    const { namespace = "", uid } = pod.metadata;
    const workload = shortHash(`${namespace}/${deployment}`);
    for (let attempt = 0; attempt < attempts; attempt += 1) {
      const leases = await leasesOf(this.#kubernetes, `${slotsLabel}=${workload}`, signal);
      const own = leases.find(
        (lease) => lease.spec.holderIdentity === uid && !without.includes(numberOf(lease)),
      );
      if (own !== undefined) return slotOf(own, deployment);
      try {
        return await this.#takeOne(pod, deployment, { workload, leases, without }, signal);
      } catch (error) {
        if (!isAeonError(error, "KUBE_CONFLICT")) throw error;
      }
    }
    throw new Error(`no slot of ${namespace}/${deployment} could be had in ${attempts} attempts`);
  }

  /** Gives a slot back to who had it. */
  async giveBack(pod: Pod, deployment: string, slot: Slot, signal: AbortSignal): Promise<void> {
    const { namespace = "", uid } = pod.metadata;
    const { predecessor } = slot;
    if (predecessor === undefined) return;
    const workload = shortHash(`${namespace}/${deployment}`);
    const leases = await leasesOf(this.#kubernetes, `${slotsLabel}=${workload}`, signal);
    const lease = leases.find((each) => numberOf(each) === slot.number && each.spec.holderIdentity === uid);
    if (lease === undefined) return;
    await this.#replace(lease, predecessor, undefined, signal);
  }

  async #takeOne(
    pod: Pod,
    deployment: string,
    known: {
      readonly workload: string;
      readonly leases: readonly Lease[];
      readonly without: readonly number[];
    },
    signal: AbortSignal,
  ): Promise<Slot> {
    const { namespace = "", name, uid } = pod.metadata;
    const { agentNamespace } = this.#kubernetes;
    const byNumber = known.leases.toSorted((a, b) => numberOf(a) - numberOf(b));
    for (const lease of byNumber) {
      if (known.without.includes(numberOf(lease)) || (await this.#isHeld(namespace, lease, signal))) continue;
      const before = {
        name: lease.metadata.annotations?.[`${prefix}pod`] ?? "",
        uid: lease.spec.holderIdentity ?? "",
      };
      return slotOf(await this.#replace(lease, { name, uid }, before, signal), deployment);
    }
    const used = new Set(known.leases.map(numberOf));
    let number = 0;
    while (used.has(number)) number += 1;
    const body = {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: {
        name: `slot-${known.workload}-${number}`,
        namespace: agentNamespace,
        labels: { [slotsLabel]: known.workload },
        annotations: {
          [`${prefix}workload`]: `${namespace}/${deployment}`,
          [`${prefix}slot`]: String(number),
          [`${prefix}pod`]: name,
        },
      },
      spec: { holderIdentity: uid },
    };
    await this.#kubernetes.create(leasesPath(agentNamespace), body, parseAny, signal);
    return { number, key: keyOf(deployment, number) };
  }

  /** Whether the pod that has the slot goes on running. */
  async #isHeld(namespace: string, { metadata, spec }: Lease, signal: AbortSignal): Promise<boolean> {
    const name = metadata.annotations?.[`${prefix}pod`] ?? "";
    const holder = await this.#kubernetes.get(podPath(namespace, name), parsePod, signal);
    if (holder === undefined || holder.metadata.uid !== spec.holderIdentity) return false;
    const phase = holder.status?.phase;
    return holder.metadata.deletionTimestamp === undefined && phase !== "Failed" && phase !== "Succeeded";
  }

  async #replace(
    lease: Lease,
    holder: { readonly name: string; readonly uid: string },
    predecessor: { readonly name: string; readonly uid: string } | undefined,
    signal: AbortSignal,
  ): Promise<Lease> {
    const { name, resourceVersion, labels, annotations } = lease.metadata;
    const { agentNamespace } = this.#kubernetes;
    const metadata = {
      name,
      namespace: agentNamespace,
      resourceVersion,
      labels,
      annotations: {
        ...annotations,
        [`${prefix}pod`]: holder.name,
        [`${prefix}predecessor`]: predecessor === undefined ? "" : `${predecessor.name}/${predecessor.uid}`,
      },
    };
    const body = {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata,
      spec: { holderIdentity: holder.uid },
    };
    await this.#kubernetes.replace(`${leasesPath(agentNamespace)}/${name}`, body, parseAny, signal);
    return {
      ...lease,
      metadata: { ...lease.metadata, annotations: metadata.annotations },
      spec: { ...lease.spec, holderIdentity: holder.uid },
    };
  }
}

const numberOf = ({ metadata }: Lease): number => Number(metadata.annotations?.[`${prefix}slot`] ?? -1);

/** No pod has such a name, so a chain of a slot is never that of a pod. */
const keyOf = (deployment: string, number: number): string => `${deployment}/${number}`;

function slotOf(lease: Lease, deployment: string): Slot {
  const number = numberOf(lease);
  const [name = "", uid = ""] = (lease.metadata.annotations?.[`${prefix}predecessor`] ?? "").split("/");
  return { number, key: keyOf(deployment, number), ...(name !== "" && { predecessor: { name, uid } }) };
}
