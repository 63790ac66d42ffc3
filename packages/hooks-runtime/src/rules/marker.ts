import { basename } from "node:path";
import type { Hook } from "./rule.ts";

/** Name of the toolkit's program that marks containers whose hooks are in place. */
export const markerName = "container-hooks";

/** True for the toolkit's marker hook, which does nothing. */
export const isMarker = (hook: Pick<Hook, "path">): boolean => basename(hook.path) === markerName;
