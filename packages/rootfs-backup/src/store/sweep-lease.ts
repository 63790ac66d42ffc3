import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import * as v from "valibot";
import type { ObjectKey, ObjectStore } from "../objects/object-store.ts";
import { encodeJson, readJson } from "./json-objects.ts";
import { layout } from "./layout.ts";

/**
 * How sweeping and publishing stay out of each other's way, with several nodes at both and no clock but the store's:
 *
 * A publisher first writes an intent with all blobs it will name, then looks for leases, then checks that the blobs
 * are there. A sweeper first writes a lease, then reads intents, then names, then deletes old blobs that none of
 * them had. So either the sweeper sees the intent and spares its blobs, or the publisher sees the lease, waits for
 * the end of the sweep, and only then believes its eyes. A blob younger than the sweep's grace is safe anyway.
 */
const leaseSchema = v.object({ graceMs: v.pipe(v.number(), v.minValue(0)) });
const intentSchema = v.object({ blobs: v.array(v.string()) });

/** How long others respect a lease, and how long its owner goes on deleting. */
const leaseMs = 900_000;
export const deletingMs = 600_000;
/** How long an intent of a process that died keeps its blobs. */
const intentMs = 86_400_000;
const pollMs = 200;

/** An object that is there for as long as some work lasts. */
export interface Notice extends AsyncDisposable {
  /** By the store's clock. */
  readonly writtenAt: number;
}

async function post(
  objects: ObjectStore,
  prefix: string,
  value: unknown,
  signal: AbortSignal,
): Promise<Notice> {
  const key = `${prefix}${randomBytes(8).toString("hex")}.json`;
  await objects.create(key, encodeJson(value), signal);
  const facts = await objects.stat(key, signal);
  return {
    writtenAt: facts?.modifiedAt.getTime() ?? Date.now(),
    // Also after the work was cut off, for which it must not be awaited long.
    [Symbol.asyncDispose]: () => objects.remove(key, AbortSignal.timeout(30_000)).catch(() => {}),
  };
}

export const postLease = (
  objects: ObjectStore,
  folder: string,
  graceMs: number,
  signal: AbortSignal,
): Promise<Notice> => post(objects, layout.sweeps(folder), { graceMs }, signal);

export const postIntent = (
  objects: ObjectStore,
  folder: string,
  blobs: readonly string[],
  signal: AbortSignal,
): Promise<Notice> => post(objects, layout.intents(folder), { blobs }, signal);

/**
 * Waits for the sweeps under way that could delete blobs as old as those. Sweeps that begin later see the caller's
 * intent. Times are the store's.
 */
export async function awaitSweeps(
  objects: ObjectStore,
  folder: string,
  { now, oldest }: { readonly now: number; readonly oldest: number },
  signal: AbortSignal,
): Promise<void> {
  const startedAt = performance.now();
  const begun = await leasesOver(objects, folder, oldest, signal);
  for (;;) {
    const time = now + performance.now() - startedAt;
    const left = await leasesOver(objects, folder, oldest, signal);
    if (![...left].some(([key, since]) => begun.has(key) && since > time - leaseMs)) return;
    await delay(pollMs, undefined, { signal });
  }
}

/** Leases of sweeps that may delete blobs as old as those, and when they began. */
async function leasesOver(
  objects: ObjectStore,
  folder: string,
  oldest: number,
  signal: AbortSignal,
): Promise<ReadonlyMap<ObjectKey, number>> {
  const leases = new Map<ObjectKey, number>();
  for await (const { key, modifiedAt } of objects.list(layout.sweeps(folder), signal)) {
    const since = modifiedAt.getTime();
    const lease = await readJson(objects, key, leaseSchema, signal);
    // A second more, since some stores keep times by the second.
    if (lease !== undefined && oldest <= since - lease.value.graceMs + 1000) leases.set(key, since);
  }
  return leases;
}

/** Digests that publishers are about to name; old intents are given apart, to be deleted. */
export async function readIntents(
  objects: ObjectStore,
  folder: string,
  now: number,
  signal: AbortSignal,
): Promise<{ readonly digests: readonly string[]; readonly stale: readonly ObjectKey[] }> {
  const digests: string[] = [];
  const stale: ObjectKey[] = [];
  for await (const { key, modifiedAt } of objects.list(layout.intents(folder), signal)) {
    if (modifiedAt.getTime() < now - intentMs) stale.push(key);
    else {
      const intent = await readJson(objects, key, intentSchema, signal);
      digests.push(...(intent?.value.blobs ?? []));
    }
  }
  return { digests, stale };
}
