import { createHash } from "node:crypto";
import type { OverlayNamespace } from "../archive/overlay-xattrs.ts";
import type { StoredLayer } from "../store/backup-document.ts";

type Layer = Pick<StoredLayer, "tenant" | "digest">;

/**
 * Stands for a layer of a tenant on this node: 64 hexadecimal digits. Two tenants share nothing, also when they name
 * the same digest: a digest is no proof of having the bytes, and names in a document can be written by whoever writes
 * to the tenant's part of a store.
 */
export const layerId = ({ tenant, digest }: Layer): string =>
  createHash("sha256").update(`${tenant}\0${digest}`).digest("hex");

/** Names a layer in the form that mounts with or without `userxattr` read. */
export const layerName = (layer: Layer, overlay: OverlayNamespace): string =>
  overlay === "user" ? `${layerId(layer)}.user` : layerId(layer);

/** The {@link layerId} that a name, or the name of a leftover, begins with. */
export const idInName = (name: string): string => name.slice(0, 64);
