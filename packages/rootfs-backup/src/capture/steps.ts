import { channel } from "node:diagnostics_channel";

/** The durable steps in the life of a backup and of a restore, in order. */
export const allSteps = [
  "intended",
  "moved",
  "synced",
  "staged",
  "settled",
  "freezing",
  "frozen",
  "thawed",
  "packed",
  "archived",
  "layer-stored",
  "uploaded",
  "verified",
  "backup-named",
  "ref-stored",
  "head-moved",
  "backup-stored",
  "recorded",
  "discarded",
  "unpacked",
  "layer-published",
  "dressed",
  "bound",
  "restored",
] as const;
export type Step = (typeof allSteps)[number];

/** What {@link steps} publishes. */
export interface StepReached {
  readonly step: Step;
  /** A backup, or for layers a digest. */
  readonly subject: string;
}

/** Tells tracers and tests of every step right after it. */
export const steps = channel("aeon.rootfs-backup.step");

export function reached(step: Step, subject: string): void {
  if (steps.hasSubscribers) steps.publish({ step, subject } satisfies StepReached);
}
