import { existsSync, opendirSync } from "node:fs";
import { isAeonError, type HookContext, type SnapshotInfo, type SnapshotKey } from "@aeon/core";
import { errors } from "../errors.ts";
import type { Binding } from "../records/binding-records.ts";
import { writableLayer, type WritableLayer } from "./writable-layer.ts";

type Context = Pick<HookContext, "backend" | "caller" | "signal">;

/** Undefined when the snapshot is gone. */
export async function statSnapshot(
  key: SnapshotKey,
  { backend, caller, signal }: Context,
): Promise<SnapshotInfo | undefined> {
  try {
    return await backend.stat({ key }, { caller, signal });
  } catch (error) {
    if (isAeonError(error, "not-found")) return undefined;
    throw error;
  }
}

/** Where an active snapshot keeps its changes; undefined when that folder is missing. Throws `UPPERDIR_UNKNOWN`. */
export async function findLayer(key: SnapshotKey, context: Context): Promise<WritableLayer | undefined> {
  const layer = await layerOf(key, context);
  return existsSync(layer.upperdir) ? layer : undefined;
}

/** As {@link findLayer}, whether the folder is there or not. */
export async function layerOf(
  key: SnapshotKey,
  { backend, caller, signal }: Context,
): Promise<WritableLayer> {
  const layer = writableLayer(await backend.mounts({ key }, { caller, signal }));
  if (layer === undefined)
    throw errors.UPPERDIR_UNKNOWN(
      `snapshot ${key} has to be kept but is neither an overlay nor a bind mount`,
    );
  return layer;
}

/** The binding if it is of this very snapshot, and not of an earlier one with its key. */
export const boundTo = (binding: Binding | undefined, info: SnapshotInfo): Binding | undefined =>
  binding?.snapshotCreated === info.createdAt ? binding : undefined;

/** Reads the start of the folder only, which takes microseconds. */
export function isEmptyFolder(path: string): boolean {
  using folder = opendirSync(path);
  return folder.readSync() === null;
}
