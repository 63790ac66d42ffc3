import * as v from "valibot";

/**
 * Why a backup was taken. `removed`: containerd removed the snapshot of a container whose end nobody saw.
 * `exited`, `oom`, `evicted`: its task had ended, by itself or by a signal, for want of memory, or because its
 * pod was evicted. `restart`: another container of the same pod took its place. `scheduled`, `drain`, `manual`:
 * it was running and somebody asked.
 */
export const triggerSchema = v.picklist([
  "removed",
  "exited",
  "oom",
  "evicted",
  "restart",
  "scheduled",
  "drain",
  "manual",
]);
export type Trigger = v.InferOutput<typeof triggerSchema>;

/**
 * How well a backup shows one moment. `exact`: nothing ran any more. `frozen`: every process stood still.
 * `live`: processes were running; what changed while it was read is in the report.
 */
export const consistencySchema = v.picklist(["exact", "frozen", "live"]);
export type Consistency = v.InferOutput<typeof consistencySchema>;
