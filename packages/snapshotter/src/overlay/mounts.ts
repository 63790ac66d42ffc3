import type { Mount } from "@aeon/core";
import { idMapsOf } from "./id-map.ts";
import type { SnapshotRecord } from "./record.ts";

/** How this host mounts overlays. */
export interface MountSettings {
  /** Folder of the numbered snapshot directories. */
  readonly snapshots: string;
  /** Options of every overlay mount. */
  readonly options: readonly string[];
  /** Whether the kernel maps ids at mount time. */
  readonly idmap: boolean;
}

/** The writable or readable files of a snapshot. */
export const filesOf = (snapshots: string, id: number): string => `${snapshots}/${id}/fs`;

/** overlayfs's private folder of an active snapshot. */
export const workOf = (snapshots: string, id: number): string => `${snapshots}/${id}/work`;

/** The one mount of an active or view snapshot; `ancestors` are ids, the parent first. */
export function mountsOf(
  record: SnapshotRecord,
  ancestors: readonly number[],
  settings: MountSettings,
): readonly Mount[] {
  const { snapshots } = settings;
  const maps = mapOptions(record, settings);
  const [parent] = ancestors;
  if (parent === undefined) return [bind(filesOf(snapshots, record.id), maps, record.kind)];
  if (record.kind === "view" && ancestors.length === 1)
    return [bind(filesOf(snapshots, parent), maps, record.kind)];
  const own =
    record.kind === "active"
      ? [`workdir=${workOf(snapshots, record.id)}`, `upperdir=${filesOf(snapshots, record.id)}`]
      : [];
  const lower = `lowerdir=${ancestors.map((id) => filesOf(snapshots, id)).join(":")}`;
  const options = [...maps, ...own, lower, ...settings.options];
  return [{ type: "overlay", source: "overlay", target: "", options }];
}

function bind(source: string, maps: readonly string[], kind: SnapshotRecord["kind"]): Mount {
  return {
    type: "bind",
    source,
    target: "",
    options: [...maps, kind === "view" ? "ro" : "rw", "rbind"],
  };
}

function mapOptions(record: SnapshotRecord, settings: MountSettings): readonly string[] {
  const maps = settings.idmap ? idMapsOf(record.labels) : undefined;
  return maps === undefined ? [] : [`uidmap=${maps.uidmap}`, `gidmap=${maps.gidmap}`];
}
