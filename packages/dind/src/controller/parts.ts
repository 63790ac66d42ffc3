import { errors } from "../errors.ts";
import type { ControllerOptions } from "./controller-options.ts";
import type { LiveContainers } from "./live.ts";
import type { MainContainers } from "./main-containers.ts";
import type { MainContainer } from "./places.ts";
import type { DindRecord, DindRecords } from "./records.ts";

/** What the parts of the controller share. */
export interface Parts {
  readonly options: ControllerOptions;
  readonly records: DindRecords;
  readonly lives: LiveContainers;
  readonly mains: MainContainers;
  /** Ends the controller. */
  readonly signal: AbortSignal;
}

/** Throws `DIND_NOT_FOUND`. */
export function requireRecord({ records }: Parts, { namespace, id }: MainContainer): DindRecord {
  const record = records.get(namespace, id);
  if (record === undefined)
    throw errors.DIND_NOT_FOUND(`container ${id} in namespace ${namespace} has no DinD container`, {
      details: { namespace, id },
    });
  return record;
}
