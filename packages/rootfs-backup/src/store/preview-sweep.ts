import type { ObjectStore } from "../objects/object-store.ts";
import type { SweepReport } from "./backup-store.ts";
import { layout, nameIn } from "./layout.ts";
import { mark } from "./mark.ts";

/** What sweeping a tenant now would delete, by this host's clock; changes nothing. */
export async function previewSweep(
  objects: ObjectStore,
  folder: string,
  graceMs: number,
  signal: AbortSignal,
): Promise<SweepReport> {
  const now = Date.now();
  const { digests } = await mark(objects, folder, { now, graceMs }, signal);
  let [blobs, bytes, kept] = [0, 0, 0];
  for await (const { key, size, modifiedAt } of objects.list(layout.blobs(folder), signal))
    if (digests.has(nameIn(key)) || modifiedAt.getTime() >= now - graceMs) kept += 1;
    else {
      blobs += 1;
      bytes += size;
    }
  return { blobs, bytes, kept, complete: true };
}
