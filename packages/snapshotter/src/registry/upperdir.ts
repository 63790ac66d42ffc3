import type { Mount } from "@aeon/core";

/** The writable layer that mounts of an active snapshot show; undefined when they show none. */
export function upperdirOf(mounts: readonly Mount[]): string | undefined {
  const last = mounts.at(-1);
  if (last === undefined) return undefined;
  if (last.type === "overlay")
    return last.options.find((option) => option.startsWith("upperdir="))?.slice("upperdir=".length);
  if (last.type === "bind" && !last.options.includes("ro")) return last.source;
  return undefined;
}
