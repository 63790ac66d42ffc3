import { errors } from "../errors.ts";
import type { ObjectKey, ObjectStore } from "../objects/object-store.ts";
import { refOf, type BackupRef } from "./backup-ref.ts";
import type { ChainKey } from "./chain.ts";
import { concurrently } from "./concurrently.ts";
import { DigestSet } from "./digest-set.ts";
import { headSchema, type Tip } from "./head.ts";
import { readHolds } from "./holds.ts";
import { readJson } from "./json-objects.ts";
import { layout, nameIn } from "./layout.ts";
import { refsBelow } from "./list-refs.ts";
import { readRef } from "./names.ts";
import { pinSchema } from "./pins.ts";
import { readImage } from "./read-image.ts";
import { readIntents } from "./sweep-lease.ts";

/** What a tenant's names need. */
export interface Marked {
  readonly digests: DigestSet;
  /** Objects that are of no use any more. */
  readonly stale: readonly ObjectKey[];
  /** Backups that have an id but no place in their chain: publishing or removing them was cut off. */
  readonly unlisted: readonly BackupRef[];
}

const width = 8;
/** How long the note of a removal stays at least: the removal may be under way. */
const removalMs = 3_600_000;
/** How long the HEAD of a chain without backups stays. */
const emptyHeadMs = 7 * 86_400_000;

/**
 * Collects what must stay. Intents come before `backups`, and these before refs, as publishers write them in that
 * order and remove the intent last. Rejects when any name cannot be read: nothing may be deleted then.
 */
export async function mark(
  objects: ObjectStore,
  folder: string,
  { now, graceMs }: { readonly now: number; readonly graceMs: number },
  signal: AbortSignal,
): Promise<Marked> {
  const digests = new DigestSet();
  const add = ({ manifest, blobs }: BackupRef): void => {
    digests.add(manifest.digest);
    for (const { digest } of blobs) digests.add(digest);
  };
  const intents = await readIntents(objects, folder, now, signal);
  for (const digest of intents.digests) digests.add(digest);
  const stale: ObjectKey[] = [...intents.stale];
  const pointers = new Map<string, ObjectKey>();
  for await (const { key } of objects.list(layout.pointers(folder), signal)) pointers.set(nameIn(key), key);
  for await (const { key } of objects.list(layout.pins(folder), signal)) {
    const pin = await readJson(objects, key, pinSchema, signal);
    if (pin !== undefined) add(pin.value.ref);
  }
  for await (const ref of refsBelow(objects, folder, layout.workloads(folder), signal)) {
    add(ref);
    pointers.delete(ref.id);
  }
  for await (const { key, modifiedAt } of objects.list(layout.workloads(folder), signal)) {
    if (!key.endsWith("/HEAD.json")) continue;
    const head = (await readJson(objects, key, headSchema, signal))?.value;
    if (head?.tip !== undefined) await addTip(objects, head.chain, head.tip, { digests, signal });
    else if (head !== undefined && modifiedAt.getTime() < now - emptyHeadMs) stale.push(key);
  }
  const unlisted: BackupRef[] = [];
  const read = (key: ObjectKey) => readRef(objects, key, folder, signal);
  for await (const ref of concurrently(listed(pointers.values()), width, read)) {
    // Removed meanwhile.
    if (ref === undefined) continue;
    add(ref);
    unlisted.push(ref);
  }
  // Whoever removes a name notes it before, so notes are read after names.
  for await (const { key, modifiedAt } of objects.list(layout.removals(folder), signal)) {
    const removedAt = modifiedAt.getTime();
    if (removedAt >= now - graceMs) add(await required(objects, key, folder, signal));
    else if (removedAt < now - removalMs) stale.push(key);
  }
  // Last of all: who writes a hold looks after that whether the backup still has its name.
  const { holds, expired } = await readHolds(objects, folder, now, signal);
  for (const held of holds.flatMap(({ backups }) => backups))
    for (const digest of held.digests) digests.add(digest);
  stale.push(...expired);
  return { digests, stale, unlisted };
}

async function* listed(keys: Iterable<ObjectKey>): AsyncGenerator<ObjectKey, void> {
  yield* keys;
}

/** What HEAD names has a ref; if somebody deleted that, what HEAD names stays all the same. */
async function addTip(
  objects: ObjectStore,
  chain: ChainKey,
  tip: Tip,
  { digests, signal }: { readonly digests: DigestSet; readonly signal: AbortSignal },
): Promise<void> {
  if (digests.has(tip.manifest.digest)) return;
  const { document, config } = await readImage(objects, chain.tenant, tip.manifest, signal);
  const { manifest, blobs } = refOf(document, tip.manifest, config);
  for (const { digest } of [manifest, ...blobs]) digests.add(digest);
}

async function required(
  objects: ObjectStore,
  key: ObjectKey,
  folder: string,
  signal: AbortSignal,
): Promise<BackupRef> {
  const ref = await readRef(objects, key, folder, signal);
  if (ref === undefined) throw errors.STORE_UNUSABLE(`${key} in ${objects.location} went while it was read`);
  return ref;
}
