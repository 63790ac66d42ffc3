import type { ObjectStore } from "../objects/object-store.ts";
import type { SweepReport } from "./backup-store.ts";
import { layout, nameIn } from "./layout.ts";
import { mark } from "./mark.ts";
import { nameInChain } from "./publish.ts";
import { removeRef } from "./remove-backup.ts";
import { deletingMs, postLease } from "./sweep-lease.ts";

/** Deletes what no name of a tenant needs; see sweep-lease for why nothing else goes. */
export async function sweepTenant(
  objects: ObjectStore,
  folder: string,
  graceMs: number,
  signal: AbortSignal,
): Promise<SweepReport> {
  await using lease = await postLease(objects, folder, graceMs, signal);
  const startedAt = performance.now();
  const now = lease.writtenAt;
  const { digests, stale, unlisted } = await mark(objects, folder, { now, graceMs }, signal);
  let [blobs, bytes, kept] = [0, 0, 0];
  for await (const { key, size, modifiedAt } of objects.list(layout.blobs(folder), signal)) {
    if (performance.now() - startedAt > deletingMs) return { blobs, bytes, kept, complete: false };
    if (digests.has(nameIn(key)) || modifiedAt.getTime() >= now - graceMs) {
      kept += 1;
      continue;
    }
    await objects.remove(key, signal);
    blobs += 1;
    bytes += size;
  }
  for (const ref of unlisted) {
    // A removal that was cut off goes on; anything else is published as it was meant to be.
    const isRemoved = (await objects.stat(layout.removal(folder, ref.id), signal)) !== undefined;
    if (isRemoved) await removeRef(objects, ref, signal);
    else await nameInChain(objects, ref, signal);
  }
  for (const key of stale) await objects.remove(key, signal);
  return { blobs, bytes, kept, complete: true };
}
