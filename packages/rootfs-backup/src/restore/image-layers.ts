import { randomBytes } from "node:crypto";
import {
  isAeonError,
  ownSnapshotPrefix,
  snapshotKey,
  type HookContext,
  type Mount,
  type SnapshotKey,
} from "@aeon/core";
import { optionValue } from "../capture/writable-layer.ts";

type Context = Pick<HookContext, "backend" | "caller" | "signal">;

/** The chain id of an image, from the name that containerd gives the snapshot of its top layer; undefined for other names. */
export const chainIdOf = (key: SnapshotKey): string | undefined => /\/(sha256:[0-9a-f]{64})$/.exec(key)?.[1];

/** The folders that mounts show besides the writable one, the lowest first. */
export function lowersOf(mounts: readonly Mount[]): readonly string[] {
  const [mount] = mounts;
  if (mount === undefined) return [];
  if (mount.type === "bind") return mount.options.includes("ro") ? [mount.source] : [];
  return optionValue(mount, "lowerdir")?.split(":").toReversed() ?? [];
}

/** Gives the folders of an image while it is looked at; undefined when the image is not unpacked on this node. */
export async function withImage<T>(
  chainId: string,
  { backend, caller, signal }: Context,
  look: (lowers: readonly string[]) => Promise<T>,
): Promise<T | undefined> {
  const parent = await unpacked(chainId, { backend, caller, signal });
  if (parent === undefined) return undefined;
  const key = snapshotKey(`${ownSnapshotPrefix}image/tmp-${randomBytes(6).toString("hex")}`);
  try {
    return await look(lowersOf(await backend.view({ key, parent, labels: {} }, { caller, signal })));
  } catch (error) {
    // It was removed meanwhile.
    if (isAeonError(error, "not-found")) return undefined;
    throw error;
  } finally {
    await backend.remove({ key }, { caller, signal: AbortSignal.timeout(removeMs) }).catch(() => {});
  }
}

/** Milliseconds; what stays is removed with other leftovers. */
const removeMs = 10_000;

async function unpacked(
  chainId: string,
  { backend, caller, signal }: Context,
): Promise<SnapshotKey | undefined> {
  for await (const { name, kind } of await backend.list({ filters: [] }, { caller, signal }))
    if (kind === "committed" && chainIdOf(name) === chainId) return name;
  return undefined;
}
