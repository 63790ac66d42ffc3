import type { Labels } from "@aeon/core";
import { errors } from "../errors.ts";

const labelPath = "labels.";

/** Labels as they are stored: an empty value means no label. */
export function storedLabels(labels: Labels): Labels {
  return Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== ""));
}

/**
 * The labels after an update. No path, or `labels`, replaces all of them; `labels.<key>` takes that one from
 * `wanted` (absent or empty deletes it). Any other path is refused with `SNAPSHOT_UPDATE_INVALID`.
 */
export function updatedLabels(current: Labels, wanted: Labels, paths: readonly string[]): Labels {
  const wrong = paths.find((path) => path !== "labels" && !isLabelPath(path));
  if (wrong !== undefined)
    throw errors.SNAPSHOT_UPDATE_INVALID(
      `cannot update ${JSON.stringify(wrong)}: only labels can be changed`,
    );
  if (paths.length === 0 || paths.includes("labels")) return storedLabels(wanted);
  const result = new Map(Object.entries(current));
  for (const path of paths) {
    const key = path.slice(labelPath.length);
    result.set(key, (Object.hasOwn(wanted, key) ? wanted[key] : undefined) ?? "");
  }
  return storedLabels(Object.fromEntries(result));
}

const isLabelPath = (path: string): boolean => path.startsWith(labelPath) && path.length > labelPath.length;
