import { connect } from "@aeon/containerd";
import { containerdBase } from "./containerd-base.ts";
import type { BaseReference } from "./find-base.ts";
import type { BaseImage } from "./image-layer.ts";

export interface ContainerdSearch {
  /** Path of containerd's socket. */
  readonly address: string;
  /** Of the container that was backed up. */
  readonly namespace: string;
  readonly wanted: BaseReference;
  /** Existing folder for layers that have to be packed again. */
  readonly spool: string;
  readonly signal: AbortSignal;
}

/** Runs the work with the base image from containerd, which cannot collect it meanwhile. Rejects as containerdBase does. */
export async function withContainerdBase<T>(
  { address, namespace, wanted, spool, signal }: ContainerdSearch,
  work: (base: BaseImage) => Promise<T>,
): Promise<T> {
  await using client = await connect({ address, namespace, signal });
  return await client.withLease(
    async (leased) => work(await containerdBase(wanted, { client: leased, spool, signal })),
    { expiresIn: leaseMs },
  );
}

/** Should this process be killed; exports are over long before. */
const leaseMs = 24 * 3_600_000;
