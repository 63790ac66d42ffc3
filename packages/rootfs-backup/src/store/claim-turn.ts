import type { ObjectKey, ObjectStore } from "../objects/object-store.ts";
import { encodeJson } from "./json-objects.ts";

/** What one node at a time does for all: tidying the store, and reading it again. */
export type Turn = "sweep" | "scrub";

const keys: Readonly<Record<Turn, ObjectKey>> = { sweep: "SWEPT.json", scrub: "SCRUBBED.json" };

/**
 * Decides which of many nodes does something: the first that finds the last time long enough ago. Gives the store's
 * time in milliseconds, or undefined when it is not this one's turn.
 */
export async function claimTurn(
  objects: ObjectStore,
  turn: Turn,
  intervalMs: number,
  signal: AbortSignal,
): Promise<number | undefined> {
  const key = keys[turn];
  const last = await objects.stat(key, signal);
  if (last !== undefined && Date.now() - last.modifiedAt.getTime() < intervalMs) return undefined;
  const bytes = encodeJson({ format: 1, at: new Date().toISOString(), by: process.pid });
  if (!(await objects.replace(key, bytes, last?.version, signal))) return undefined;
  return (await objects.stat(key, signal))?.modifiedAt.getTime();
}
