import { chainIdOf } from "../restore/image-layers.ts";
import type { BackupRecord } from "../records/backup-record.ts";
import type { BackupRecords } from "../records/backup-records.ts";
import type { BackupDraft, StoredLayer } from "../store/backup-document.ts";
import { chainOf } from "../store/chain-of.ts";
import type { Packed } from "../worker/job.ts";

/** An archive with nothing in it but its root. */
const emptyEntries = 1;

/** The layers below a backup; undefined while the backup that it stands on is not stored itself. */
export const layersBelow = (
  { parent }: BackupRecord,
  backups: BackupRecords,
): readonly StoredLayer[] | undefined =>
  parent === undefined ? [] : (parent.layers ?? backups.get(parent.id)?.layers);

/** True for a container that changed nothing: its backup is those of the layers below. */
export const isEmpty = ({ parent, squashed }: BackupRecord, { layer }: Packed): boolean =>
  !squashed && layer.entries === emptyEntries && parent !== undefined;

export interface DraftContents {
  /** This node's name. */
  readonly node: string;
  /** The whole chain, the lowest first. */
  readonly layers: readonly StoredLayer[];
  readonly report: BackupDraft["report"];
}

/** What the store is told of a backup. */
export function draftOf(record: BackupRecord, { node, layers, report }: DraftContents): BackupDraft {
  const { id, identity, createdAt, parent, trigger, consistency, squashed } = record;
  return {
    format: 1,
    id,
    chain: chainOf(identity),
    node,
    identity,
    createdAt: String(createdAt),
    trigger,
    consistency,
    ...(parent !== undefined && { parent: parent.id }),
    ...baseOf(record),
    ...(squashed && { squashed }),
    layers: [...layers],
    report,
  };
}

/** The name of the snapshot that the container's stood on tells the image's chain id. */
function baseOf({ identity: { image }, snapshotParent }: BackupRecord): Pick<BackupDraft, "base"> {
  const chainId = snapshotParent && chainIdOf(snapshotParent);
  const base = { ...(image !== undefined && { image }), ...(chainId !== undefined && { chainId }) };
  return Object.keys(base).length > 0 ? { base } : {};
}
