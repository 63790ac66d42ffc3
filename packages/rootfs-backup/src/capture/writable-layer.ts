import type { Mount } from "@aeon/core";
import type { OverlayNamespace } from "../archive/overlay-xattrs.ts";

/** Where an active snapshot keeps its changes. */
export interface WritableLayer {
  readonly upperdir: string;
  readonly overlay: OverlayNamespace;
}

/** Reads it from the mounts: the upper directory of an overlay, or the source of a writable bind mount. */
export function writableLayer(mounts: readonly Mount[]): WritableLayer | undefined {
  const [mount] = mounts;
  if (mount === undefined || mounts.length !== 1) return undefined;
  if (mount.type === "overlay") {
    const upperdir = optionValue(mount, "upperdir");
    if (upperdir === undefined) return undefined;
    return { upperdir, overlay: mount.options.includes("userxattr") ? "user" : "trusted" };
  }
  if (mount.type !== "bind" || mount.options.includes("ro")) return undefined;
  return { upperdir: mount.source, overlay: "trusted" };
}

/** The value of an option `name=value`. */
export function optionValue({ options }: Mount, name: string): string | undefined {
  const prefix = `${name}=`;
  return options.find((option) => option.startsWith(prefix))?.slice(prefix.length);
}
