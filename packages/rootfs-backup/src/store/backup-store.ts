import type { BackupId } from "@aeon/core";
import type { BackupDocument, StoredLayer } from "./backup-document.ts";

/** What a store says of a backup that it holds. */
export interface StoredBackup {
  readonly document: BackupDocument;
  /** Of the manifest. */
  readonly digest: string;
  /** For people: where the backup is. */
  readonly location: string;
}

/**
 * Where backups live. A backup that can be read implies layers that are there: data comes before the manifest,
 * and the manifest before the name. Everything that resolved is durable.
 */
export interface BackupStore extends AsyncDisposable {
  /** A folder on this host for files that are about to be given to {@link putLayer}. */
  spool(): Promise<string>;
  /** Takes the file over and names it by its digest; a layer that is there already is left as it is. */
  putLayer(file: string, layer: StoredLayer): Promise<void>;
  /** The path of a file on this host that holds the layer. Rejects with `BACKUP_DAMAGED` when it is not there. */
  openLayer(layer: StoredLayer, signal: AbortSignal): Promise<string>;
  /** Names a backup whose layers are all there. When the name is taken, gives what it already stands for. */
  putBackup(document: BackupDocument): Promise<StoredBackup>;
  /** Undefined when there is none; rejects with `BACKUP_DAMAGED` when it does not verify. */
  getBackup(id: BackupId): Promise<StoredBackup | undefined>;
  /** In no particular order. */
  listBackups(): Promise<readonly BackupId[]>;
  /** Forgets the name; layers stay, since other backups may share them. */
  removeBackup(id: BackupId): Promise<void>;
}
