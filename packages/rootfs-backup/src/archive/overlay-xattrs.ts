import type { Xattr } from "./tar-entry.ts";

/**
 * Where overlayfs keeps its own attributes: `trusted`, or `user` for mounts with the option `userxattr`.
 * Attributes of the other prefix are the container's own data.
 */
export type OverlayNamespace = "trusted" | "user";

/** What an extended attribute of a file in an upper directory means. */
export type UpperXattr =
  | { readonly kind: "data"; readonly xattr: Xattr }
  | { readonly kind: "opaque" }
  | { readonly kind: "whiteout" }
  /** Belongs to this mount on this host only. */
  | { readonly kind: "private" }
  /** Says that the file's data or the directory's entries are in a lower layer. */
  | { readonly kind: "elsewhere" }
  /** Cannot be given to another host; `reason` says why. */
  | { readonly kind: "dropped"; readonly reason: string };

/** Labels and measurements of this host's security modules: meaningless, or refused, on another one. */
const hostOnly = new Set([
  "security.selinux",
  "security.ima",
  "security.evm",
  "security.apparmor",
  "security.SMACK64",
]);

/** Interprets an attribute of a file in an upper directory (linux/Documentation/filesystems/overlayfs.rst). */
export function readUpperXattr(xattr: Xattr, overlay: OverlayNamespace): UpperXattr {
  const name = xattr.name.toString("latin1");
  if (hostOnly.has(name)) return { kind: "dropped", reason: `${name} belongs to this host` };
  const prefix = `${overlay}.overlay.`;
  if (!name.startsWith(prefix)) return { kind: "data", xattr };
  const key = name.slice(prefix.length);
  if (key.startsWith("overlay."))
    return { kind: "data", xattr: { name: Buffer.from(`${overlay}.${key}`, "latin1"), value: xattr.value } };
  switch (key) {
    case "opaque":
      return xattr.value.equals(Buffer.from("y")) ? { kind: "opaque" } : { kind: "private" };
    case "whiteout":
      return { kind: "whiteout" };
    case "metacopy":
    case "redirect":
      return { kind: "elsewhere" };
    case "protattr":
      return { kind: "dropped", reason: "immutable and append-only flags are not kept" };
    default:
      return { kind: "private" };
  }
}

/** The name under which an attribute has to be written in a lower layer, so that overlayfs shows it as it was. */
export function lowerXattrName(name: Buffer, overlay: OverlayNamespace): Buffer {
  const text = name.toString("latin1");
  const prefix = `${overlay}.overlay.`;
  return text.startsWith(prefix)
    ? Buffer.from(`${prefix}overlay.${text.slice(prefix.length)}`, "latin1")
    : name;
}

/** The name of one of overlayfs's own attributes. */
export const overlayXattr = (overlay: OverlayNamespace, key: string): Buffer =>
  Buffer.from(`${overlay}.overlay.${key}`);

/** Makes a directory of a lower layer hide what the layers below have in it. */
export const opaqueXattr = (overlay: OverlayNamespace): Xattr => ({
  name: overlayXattr(overlay, "opaque"),
  value: Buffer.from("y"),
});

/**
 * On a directory with whiteouts: without it, and without a directory of that name in a lower layer, overlayfs would
 * list the deleted names. The empty value means that the directory was copied up from an unknown place.
 */
export const originXattr = (overlay: OverlayNamespace): Xattr => ({
  name: overlayXattr(overlay, "origin"),
  value: Buffer.alloc(0),
});
