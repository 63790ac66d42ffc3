import type { ObjectStore } from "../objects/object-store.ts";
import type { SweepReport } from "./backup-store.ts";
import { describeBlob, type DoomedObject } from "./doomed.ts";
import { layout, nameIn } from "./layout.ts";
import { mark } from "./mark.ts";

export interface PreviewOptions {
  readonly graceMs: number;
  readonly signal: AbortSignal;
  /** Told of each object; without it they are only counted. */
  readonly onDoomed?: ((object: DoomedObject) => void) | undefined;
}

/** What sweeping a tenant now would delete, by this host's clock; changes nothing. */
export async function previewSweep(
  objects: ObjectStore,
  folder: string,
  { graceMs, signal, onDoomed }: PreviewOptions,
): Promise<SweepReport> {
  const now = Date.now();
  const { digests, stale, unlisted } = await mark(objects, folder, { now, graceMs }, signal);
  let [blobs, bytes, kept] = [0, 0, 0];
  for await (const blob of objects.list(layout.blobs(folder), signal)) {
    const { key, size, modifiedAt } = blob;
    if (digests.has(nameIn(key)) || modifiedAt.getTime() >= now - graceMs) kept += 1;
    else {
      onDoomed?.(await describeBlob(objects, blob, signal));
      blobs += 1;
      bytes += size;
    }
  }
  for (const { id } of unlisted)
    if ((await objects.stat(layout.removal(folder, id), signal)) !== undefined)
      onDoomed?.({ kind: "name", key: layout.pointer(folder, id), backup: id });
  for (const key of stale) onDoomed?.({ kind: "note", key });
  return { blobs, bytes, kept, complete: true };
}
