import { backupId, type BackupId } from "@aeon/core";
import * as v from "valibot";
import { errors } from "../errors.ts";
import type { ObjectStore } from "../objects/object-store.ts";
import { backupSchema } from "./backup-document.ts";
import { digestPattern } from "./digest.ts";
import { encodeJson, readJson } from "./json-objects.ts";
import { layout } from "./layout.ts";

/** A backup that containers of a node run on. */
export interface HeldBackup {
  readonly id: BackupId;
  /** Of the layers that are mounted, and of what describes them. */
  readonly digests: readonly string[];
  /** For people: the snapshots of those containers. */
  readonly snapshots: readonly string[];
}

/** What one node needs of one tenant. */
export interface Hold {
  readonly node: string;
  readonly backups: readonly HeldBackup[];
}

export interface HoldRequest {
  readonly tenant: string;
  /** Names the writer; one per node and root. */
  readonly writer: string;
  readonly hold: Hold;
  /** For how long others respect it, by the store's clock, unless it is written again. */
  readonly lifetimeMs: number;
}

const holdSchema = v.object({
  format: v.literal(1),
  node: v.string(),
  lifetimeMs: v.pipe(v.number(), v.minValue(0)),
  /** Makes each writing another object, whose time is new. */
  writtenAt: v.string(),
  backups: v.array(
    v.object({
      id: backupSchema.entries.id,
      digests: v.array(v.pipe(v.string(), v.regex(digestPattern))),
      snapshots: v.array(v.string()),
    }),
  ),
});

/** Attempts against a write of this node's former process that was late. */
const mostAttempts = 5;
/** Containers that an error names. */
const shownSnapshots = 3;

/** Writes or renews what a node holds; nothing held removes the object. */
export async function writeHold(
  objects: ObjectStore,
  { tenant, writer, hold, lifetimeMs }: HoldRequest,
  signal: AbortSignal,
): Promise<void> {
  const key = layout.hold(layout.tenant(tenant), writer);
  if (hold.backups.length === 0) {
    await objects.remove(key, signal);
    return;
  }
  for (let attempt = 0; attempt < mostAttempts; attempt += 1) {
    const before = await objects.read(key, { signal, range: { offset: 0, length: 1 } });
    const value = { format: 1, ...hold, lifetimeMs, writtenAt: new Date().toISOString() };
    if (await objects.replace(key, encodeJson(value), before?.version, signal)) return;
  }
  throw errors.STORE_UNUSABLE(`${key} in ${objects.location} is changed by somebody else all the time`);
}

/** What nodes hold at the time `now` of the store, in milliseconds. Rejects when one of them cannot be read. */
export async function readHolds(
  objects: ObjectStore,
  folder: string,
  now: number,
  signal: AbortSignal,
): Promise<{ readonly holds: readonly Hold[]; readonly expired: readonly string[] }> {
  const holds: Hold[] = [];
  const expired: string[] = [];
  for await (const { key, modifiedAt } of objects.list(layout.holds(folder), signal)) {
    const found = await readJson(objects, key, holdSchema, signal);
    if (found === undefined) continue;
    const { node, lifetimeMs, backups } = found.value;
    if (modifiedAt.getTime() < now - lifetimeMs) expired.push(key);
    else holds.push({ node, backups: backups.map(({ id, ...rest }) => ({ id: backupId(id), ...rest })) });
  }
  return { holds, expired };
}

/** Throws `BACKUP_IN_USE` when containers of some node run on a backup. */
export async function assertFree(
  objects: ObjectStore,
  folder: string,
  id: string,
  signal: AbortSignal,
): Promise<void> {
  const { holds } = await readHolds(objects, folder, Date.now(), signal);
  for (const { node, backups } of holds)
    for (const held of backups) if (held.id === id) throw inUse(id, node, held.snapshots);
}

/** The error that tells which containers run on a backup. */
export function inUse(id: string, node: string, snapshots: readonly string[]): Error {
  const shown = snapshots.slice(0, shownSnapshots).join(", ");
  const more = snapshots.length > shownSnapshots ? ` and ${snapshots.length - shownSnapshots} more` : "";
  return errors.BACKUP_IN_USE(`containers on node ${node} run on backup ${id}: ${shown}${more}`, {
    details: { backup: id, node, snapshots: snapshots.join(" ") },
  });
}
