import type { ObjectStore } from "../objects/object-store.ts";
import { encodeJson } from "./json-objects.ts";

const key = "SWEPT.json";

/**
 * Decides which of many nodes tidies a store: the first that finds the last time long enough ago. Gives the store's
 * time in milliseconds, or undefined when it is not this one's turn.
 */
export async function claimSweep(
  objects: ObjectStore,
  intervalMs: number,
  signal: AbortSignal,
): Promise<number | undefined> {
  const last = await objects.stat(key, signal);
  if (last !== undefined && Date.now() - last.modifiedAt.getTime() < intervalMs) return undefined;
  const bytes = encodeJson({ format: 1, at: new Date().toISOString(), by: process.pid });
  if (!(await objects.replace(key, bytes, last?.version, signal))) return undefined;
  return (await objects.stat(key, signal))?.modifiedAt.getTime();
}
