import { backupId, isAeonError, type BackupId } from "@aeon/core";
import type { ObjectKey, ObjectStore } from "../objects/object-store.ts";
import { compareRefs, type BackupRef } from "./backup-ref.ts";
import { readHolds } from "./holds.ts";
import { layout } from "./layout.ts";
import { refsBelow } from "./list-refs.ts";
import { readHead } from "./move-head.ts";
import { idsIn, readRef, tenantFolders } from "./names.ts";
import { removeRef } from "./remove-backup.ts";
import { ownRules } from "./retention-rules.ts";
import { expired, type Retainable, type RetentionCause, type RetentionRules } from "./retention.ts";

/** A backup that rules let go. */
export interface Expired {
  readonly ref: BackupRef;
  readonly cause: RetentionCause;
}

/**
 * Removes the backups that the rules let go, in every chain; gives their ids. What a chain's newest backup says of
 * retention replaces the rules that it names. `now` is in milliseconds.
 */
export async function applyRetention(
  objects: ObjectStore,
  rules: RetentionRules,
  now: number,
  signal: AbortSignal,
): Promise<readonly BackupId[]> {
  const removed: BackupId[] = [];
  for await (const { ref } of previewRetention(objects, rules, now, signal))
    if (await remove(objects, ref, signal)) removed.push(backupId(ref.id));
  return removed;
}

/** What {@link applyRetention} would remove, chain by chain; changes nothing. */
export async function* previewRetention(
  objects: ObjectStore,
  rules: RetentionRules,
  now: number,
  signal: AbortSignal,
): AsyncGenerator<Expired, void> {
  for (const folder of await tenantFolders(objects, signal)) {
    const pins = new Set<string>();
    for await (const id of idsIn(objects, layout.pins(folder), signal)) pins.add(id);
    const { holds } = await readHolds(objects, folder, Date.now(), signal);
    for (const { id } of holds.flatMap(({ backups }) => backups)) pins.add(id);
    for await (const prefix of chainPrefixes(objects, folder, signal)) {
      const chainRules = { ...rules, ...(await ownRulesOf(objects, folder, prefix, signal)) };
      // Most stores keep everything, and reading all names for nothing takes long.
      if (Object.values(chainRules).every((rule) => rule === undefined)) continue;
      const chain = await readChain(objects, folder, prefix, signal);
      const gone = await goneOf(objects, chain, { pins, rules: chainRules, now, signal });
      for (const ref of chain) {
        const cause = gone.get(ref.id);
        if (cause !== undefined) yield { ref, cause };
      }
    }
  }
}

async function* chainPrefixes(
  objects: ObjectStore,
  folder: string,
  signal: AbortSignal,
): AsyncGenerator<string, void> {
  const workloads = layout.workloads(folder);
  for await (const workload of objects.folders(workloads, signal))
    for await (const container of objects.folders(`${workloads}${workload}/`, signal))
      yield `${workloads}${workload}/${container}/refs/`;
}

/** What the newest backup of a chain says; nothing when it cannot be read, which is reported by whoever needs it. */
async function ownRulesOf(
  objects: ObjectStore,
  folder: string,
  prefix: string,
  signal: AbortSignal,
): Promise<RetentionRules> {
  let newest: ObjectKey | undefined;
  for await (const { key } of objects.list(prefix, signal))
    if (newest === undefined || key > newest) newest = key;
  if (newest === undefined) return {};
  try {
    const ref = await readRef(objects, newest, folder, signal);
    return ref === undefined ? {} : ownRules(ref.identity.labels);
  } catch (error) {
    if (isAeonError(error, "BACKUP_DAMAGED") || isAeonError(error, "BACKUP_FOREIGN")) return {};
    throw error;
  }
}

/** The oldest first. */
async function readChain(
  objects: ObjectStore,
  folder: string,
  prefix: string,
  signal: AbortSignal,
): Promise<readonly BackupRef[]> {
  const chain: BackupRef[] = [];
  for await (const ref of refsBelow(objects, folder, prefix, signal)) chain.push(ref);
  return chain.toSorted(compareRefs);
}

interface Rules {
  readonly pins: ReadonlySet<string>;
  readonly rules: RetentionRules;
  readonly now: number;
  readonly signal: AbortSignal;
}

async function goneOf(
  objects: ObjectStore,
  chain: readonly BackupRef[],
  { pins, rules, now, signal }: Rules,
): Promise<ReadonlyMap<string, RetentionCause>> {
  const [first] = chain;
  // One backup always stays.
  if (first === undefined || chain.length === 1) return new Map();
  const tip = (await readHead(objects, first.chain, signal))?.head.tip?.backup;
  const retainable = chain.map(({ id, createdAt, blobs }): Retainable => ({
    id,
    createdAt: Number(BigInt(createdAt) / 1_000_000n),
    isPinned: pins.has(id) || id === tip,
    blobs,
  }));
  return expired(retainable, rules, now);
}

/** False when it was pinned meanwhile. */
async function remove(objects: ObjectStore, ref: BackupRef, signal: AbortSignal): Promise<boolean> {
  try {
    await removeRef(objects, ref, signal);
    return true;
  } catch (error) {
    if (isAeonError(error, "BACKUP_PINNED")) return false;
    throw error;
  }
}
