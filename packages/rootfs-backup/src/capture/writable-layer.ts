import type { Mount } from "@aeon/core";
import { parseIdRanges, type IdMaps } from "../archive/id-map.ts";
import type { OverlayNamespace } from "../archive/overlay-xattrs.ts";

/** Where an active snapshot keeps its changes. */
export interface WritableLayer {
  readonly upperdir: string;
  readonly overlay: OverlayNamespace;
  /** Set when the layer holds the host's ids of a container in a user namespace. */
  readonly idMaps?: IdMaps;
}

/** Reads it from the mounts: the upper directory of an overlay, or the source of a writable bind mount. */
export function writableLayer(mounts: readonly Mount[]): WritableLayer | undefined {
  const [mount] = mounts;
  if (mount === undefined || mounts.length !== 1) return undefined;
  if (mount.type === "overlay") {
    const upperdir = optionValue(mount, "upperdir");
    if (upperdir === undefined) return undefined;
    const idMaps = idMapsOf(mount);
    return {
      upperdir,
      overlay: mount.options.includes("userxattr") ? "user" : "trusted",
      ...(idMaps !== undefined && { idMaps }),
    };
  }
  if (mount.type !== "bind" || mount.options.includes("ro")) return undefined;
  return { upperdir: mount.source, overlay: "trusted" };
}

/** Only the lower layers of an overlay are mapped by the kernel; a bind mount is mapped itself and holds the container's ids. */
function idMapsOf(mount: Mount): IdMaps | undefined {
  const uids = parseIdRanges(optionValue(mount, "uidmap") ?? "");
  const gids = parseIdRanges(optionValue(mount, "gidmap") ?? "");
  return uids === undefined || gids === undefined ? undefined : { uids, gids };
}

/** The value of an option `name=value`. */
export function optionValue({ options }: Mount, name: string): string | undefined {
  const prefix = `${name}=`;
  return options.find((option) => option.startsWith(prefix))?.slice(prefix.length);
}
