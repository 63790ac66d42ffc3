import { errorMessage, isAeonError } from "@aeon/core";
import type { EncryptionKey } from "../../archive/encryption-key.ts";
import type { BackupRef } from "../../store/backup-ref.ts";
import type { StoredLayer } from "../../store/backup-document.ts";
import type { BackupStore } from "../../store/backup-store.ts";
import { blobsOf, findBackup } from "../find-backup.ts";
import { verifyLayer } from "./verify-layer.ts";

/** What is wrong, as far as it was found before reading stopped. */
export interface Fault {
  readonly reason: string;
  readonly message: string;
}

export interface BackupCheck {
  readonly backup: string;
  /** Empty for a backup that can be restored. */
  readonly faults: readonly Fault[];
}

export interface VerifyReport {
  readonly backups: readonly BackupCheck[];
  /** Layers that were read; those of several backups once. */
  readonly layers: number;
  /** Stored bytes that were read. */
  readonly bytes: number;
}

export interface VerifyBackupsOptions {
  /** To find those that encrypted layers need. */
  readonly keys?: readonly EncryptionKey[];
  readonly signal: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Reads backups with all their layers and compares everything that is recorded of them. What is wrong is in the
 * report; rejects only when the store cannot be used.
 */
export async function verifyBackups(
  store: BackupStore,
  refs: readonly BackupRef[],
  { keys, signal, onProgress }: VerifyBackupsOptions,
): Promise<VerifyReport> {
  const total = bytesOf(refs);
  const checked = new Map<string, readonly Fault[]>();
  let bytes = 0;
  const onBytes = (count: number): void => {
    bytes += count;
    onProgress?.(bytes, total);
  };
  const verify = async (layer: StoredLayer): Promise<readonly Fault[]> => {
    const name = `${layer.tenant} ${layer.digest} ${layer.index.digest} ${layer.toc.digest} ${layer.entries}`;
    const read = blobsOf(store, { chain: { tenant: layer.tenant, workload: "", container: "" } }, signal);
    const known =
      checked.get(name) ??
      (await faultsOf(() => verifyLayer(read, layer, { keys, signal, onBytes }), signal));
    checked.set(name, known);
    return known;
  };
  const backups: BackupCheck[] = [];
  for (const { id, chain } of refs) {
    const faults: Fault[] = [];
    faults.push(
      ...(await faultsOf(async () => {
        const { document } = await findBackup(store, id, signal, chain.tenant);
        for (const layer of document.layers) faults.push(...(await verify(layer)));
      }, signal)),
    );
    backups.push({ backup: id, faults });
  }
  return { backups, layers: checked.size, bytes };
}

/** Distinct bytes of all layers; the manifest and its config are small. */
function bytesOf(refs: readonly BackupRef[]): number {
  const sizes = new Map<string, number>();
  for (const { chain, blobs } of refs)
    for (const { digest, size } of blobs.slice(1)) sizes.set(`${chain.tenant} ${digest}`, size);
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}

async function faultsOf(work: () => Promise<void>, signal: AbortSignal): Promise<readonly Fault[]> {
  try {
    await work();
    return [];
  } catch (error) {
    signal.throwIfAborted();
    // A store that cannot be reached says nothing about the backup.
    if (!isAeonError(error) || error.code === "unavailable") throw error;
    return [{ reason: error.reason, message: errorMessage(error) }];
  }
}
