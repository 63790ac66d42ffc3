import type { BackupDocument } from "../store/backup-document.ts";
import type { BackupStore } from "../store/backup-store.ts";

/** Other backups of the tenant that need the layer which this one added; they stay whole when it is removed. */
export async function dependentsOf(
  store: BackupStore,
  { id, chain, layers }: BackupDocument,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const own = layers.find(({ backup }) => backup === id);
  if (own === undefined) return [];
  const dependents: string[] = [];
  for await (const ref of store.list({ tenant: chain.tenant, onDamaged: () => {} }, signal))
    if (ref.id !== id && ref.blobs.some(({ digest }) => digest === own.digest)) dependents.push(ref.id);
  return dependents.toSorted();
}
