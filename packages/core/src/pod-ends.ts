import { capability, type Capability } from "./capability.ts";

/** Why the containers of a pod are ended, where that is not by themselves. */
export type PodEndReason = "evicted";

/** Takes down why pods end, from whoever knows; containers do not tell. */
export interface PodEnds {
  /**
   * Says that the pod's containers are being ended, or have been, for a reason; durable when it resolves. May come
   * before or after they end, and may be repeated.
   */
  note(podUid: string, reason: PodEndReason): Promise<void>;
}

/** Provided by the backup plugin. */
export const podEnds: Capability<PodEnds> = capability("pod-ends");
