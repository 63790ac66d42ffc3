/**
 * How a layer says that something below it is gone. In an OCI layer it is an empty file with a special name; in an
 * overlayfs upperdir it is a character device 0:0, or an extended attribute on a directory.
 */

const prefix = ".wh.";
/** Name of the entry that makes its directory opaque in an OCI layer. */
export const opaqueName = ".wh..wh..opq";

/** What the name of an OCI layer entry means. Paths are relative, without a leading or trailing slash. */
export type LayerName =
  | { readonly kind: "entry"; readonly path: string }
  /** `path` of the layers below is deleted. */
  | { readonly kind: "whiteout"; readonly path: string }
  /** Everything that the layers below have in directory `path` is hidden. */
  | { readonly kind: "opaque"; readonly path: string }
  /** Bookkeeping of aufs (`.wh..wh.plnk` and the like): to be skipped. */
  | { readonly kind: "reserved"; readonly path: string };

/** Tells what a layer entry's path means. */
export function parseLayerName(path: string): LayerName {
  const cut = path.lastIndexOf("/") + 1;
  const [folder, name] = [path.slice(0, cut), path.slice(cut)];
  if (!name.startsWith(prefix)) return { kind: "entry", path };
  if (name === opaqueName) return { kind: "opaque", path: folder.slice(0, -1) };
  if (name.startsWith(`${prefix}${prefix}`)) return { kind: "reserved", path };
  const target = name.slice(prefix.length);
  if (target === "" || target === "." || target === "..") return { kind: "reserved", path };
  return { kind: "whiteout", path: folder + target };
}

/** The layer entry that deletes `path`. */
export function whiteoutPath(path: string): string {
  const cut = path.lastIndexOf("/") + 1;
  return path.slice(0, cut) + prefix + path.slice(cut);
}

/** The layer entry that makes directory `path` opaque; the empty path is the root. */
export const opaquePath = (path: string): string => (path === "" ? opaqueName : `${path}/${opaqueName}`);

/** What overlayfs needs to know of a file in an upperdir to call it a whiteout. */
export interface OverlayFile {
  readonly type: "file" | "directory" | "symlink" | "character" | "block" | "fifo" | "socket";
  readonly size: number;
  /** Device numbers of a character device. */
  readonly major?: number;
  readonly minor?: number;
  /** Extended attributes by full name; overlay's own are enough. */
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
}

const namespaces = ["trusted.overlay.", "user.overlay."] as const;
const yes = "y".charCodeAt(0);

/** True for an upperdir entry that deletes what is below: device 0:0, or an empty file marked by attribute. */
export function isOverlayWhiteout(file: OverlayFile): boolean {
  if (file.type === "character") return file.major === 0 && file.minor === 0;
  return (
    file.type === "file" && file.size === 0 && namespaces.some((space) => file.xattrs.has(`${space}whiteout`))
  );
}

/** True for an upperdir directory that hides everything below it. */
export function isOverlayOpaque(file: OverlayFile): boolean {
  if (file.type !== "directory") return false;
  return namespaces.some((space) => {
    const value = file.xattrs.get(`${space}opaque`);
    return value?.length === 1 && value[0] === yes;
  });
}

/** True for attributes that belong to overlayfs itself and must not travel in a layer. */
export const isOverlayXattr = (name: string): boolean => namespaces.some((space) => name.startsWith(space));

/** The attribute that makes an upperdir directory opaque; `user` for mounts with the option userxattr. */
export const opaqueXattr = (space: "trusted" | "user" = "trusted") =>
  ({ name: `${space}.overlay.opaque`, value: Buffer.from("y") }) as const;
