import { backupId } from "@aeon/core";
import { reached } from "../capture/steps.ts";
import { errors } from "../errors.ts";
import type { ObjectFacts, ObjectStore } from "../objects/object-store.ts";
import type { BackupDocument, BackupDraft } from "./backup-document.ts";
import { compareRefs, refOf, type BackupRef } from "./backup-ref.ts";
import { chainName, type ChainKey } from "./chain.ts";
import { advance, type Head } from "./head.ts";
import { describeImage, type JsonBlob } from "./image-manifest.ts";
import { encodeJson } from "./json-objects.ts";
import { layout } from "./layout.ts";
import { listRefs } from "./list-refs.ts";
import { moveHead, readHead } from "./move-head.ts";
import { readRef } from "./names.ts";
import { awaitSweeps, postIntent } from "./sweep-lease.ts";

/**
 * Makes the names of a backup whose layers are in the store. `backups/<id>` comes first and decides what the
 * backup is, whoever tries how often; the ref and HEAD follow from it. Rejects with `LAYER_MISSING`.
 */
export async function publishBackup(
  objects: ObjectStore,
  draft: BackupDraft,
  signal: AbortSignal,
): Promise<BackupRef> {
  const folder = layout.tenant(draft.chain.tenant);
  assertOneTenant(draft);
  const pointer = layout.pointer(folder, draft.id);
  let ref = await readRef(objects, pointer, folder, signal);
  if (ref === undefined) {
    const made = await describe(objects, draft, signal);
    await using intent = await postIntent(objects, folder, blobsOf(made.ref), signal);
    await assertLayers(objects, made.ref, intent.writtenAt, signal);
    await prepareTenant(objects, folder, signal);
    for (const { bytes, descriptor } of [made.config, made.manifest])
      await objects.create(layout.blob(folder, descriptor.digest), bytes, signal);
    const isNew = await objects.create(pointer, encodeJson(made.ref), signal);
    reached("backup-named", draft.id);
    ref = isNew ? made.ref : await readRef(objects, pointer, folder, signal);
  }
  if (ref === undefined) throw errors.STORE_UNUSABLE(`backup ${draft.id} was removed while it was published`);
  await nameInChain(objects, ref, signal);
  return ref;
}

/** The names that follow from `backups/<id>`; harmless to repeat. */
export async function nameInChain(objects: ObjectStore, ref: BackupRef, signal: AbortSignal): Promise<Head> {
  await objects.create(layout.ref(ref.chain, ref.seq, ref.id), encodeJson(ref), signal);
  reached("ref-stored", ref.id);
  const head = await moveHead(objects, ref.chain, (found) => advance(found, ref), signal);
  if (head === undefined) throw new Error(`HEAD of ${chainName(ref.chain)} was not moved`);
  reached("head-moved", ref.id);
  return head;
}

interface Made {
  readonly ref: BackupRef;
  readonly config: JsonBlob;
  readonly manifest: JsonBlob;
}

async function describe(objects: ObjectStore, draft: BackupDraft, signal: AbortSignal): Promise<Made> {
  const found = await readHead(objects, draft.chain, signal);
  const head = found?.head;
  const seq = 1 + (head?.seq ?? (await lastSeq(objects, draft.chain, signal)));
  const isTakeOver = head?.tip?.node !== draft.node;
  const document: BackupDocument = { ...draft, seq, epoch: (head?.epoch ?? 0) + (isTakeOver ? 1 : 0) };
  const { config, manifest } = describeImage(document);
  return { ref: refOf(document, manifest.descriptor, config.descriptor), config, manifest };
}

/** Without a HEAD, lost or never written, the refs tell. */
async function lastSeq(objects: ObjectStore, chain: ChainKey, signal: AbortSignal): Promise<number> {
  return (await newestRef(objects, chain, signal))?.seq ?? 0;
}

/** The newest backup of a chain, `without` aside. */
export async function newestRef(
  objects: ObjectStore,
  chain: ChainKey,
  signal: AbortSignal,
  without?: string,
): Promise<BackupRef | undefined> {
  let newest: BackupRef | undefined;
  for await (const ref of listRefs(objects, chain, signal))
    if (ref.id !== without && (newest === undefined || compareRefs(ref, newest) > 0)) newest = ref;
  return newest;
}

function assertOneTenant({ id, chain, layers }: BackupDraft): void {
  const foreign = layers.find(({ tenant }) => tenant !== chain.tenant);
  if (foreign === undefined) return;
  throw errors.BACKUP_FOREIGN(
    `backup ${id} of tenant ${chain.tenant} would name layer ${foreign.digest} of tenant ${foreign.tenant}`,
    { details: { backup: id, tenant: chain.tenant, foreign: foreign.tenant } },
  );
}

const blobsOf = ({ blobs, manifest }: BackupRef): readonly string[] => [
  manifest.digest,
  ...blobs.map(({ digest }) => digest),
];

/** The configuration, which is written later, comes first. */
async function assertLayers(
  objects: ObjectStore,
  ref: BackupRef,
  now: number,
  signal: AbortSignal,
): Promise<void> {
  const look = () => statLayers(objects, ref, signal);
  const first = await look();
  const oldest = Math.min(now, ...first.map(({ modifiedAt }) => modifiedAt.getTime()));
  await awaitSweeps(objects, layout.tenant(ref.chain.tenant), { now, oldest }, signal);
  await look();
}

async function statLayers(
  objects: ObjectStore,
  { id, chain, blobs }: BackupRef,
  signal: AbortSignal,
): Promise<readonly ObjectFacts[]> {
  const folder = layout.tenant(chain.tenant);
  return Promise.all(
    blobs.slice(1).map(async ({ digest, size }) => {
      const facts = await objects.stat(layout.blob(folder, digest), signal);
      if (facts?.size !== size)
        throw errors.LAYER_MISSING(
          `blob ${digest} of backup ${backupId(id)} is ${facts === undefined ? "not in the store" : `of ${facts.size} bytes instead of ${size}`}`,
          { details: { backup: id, digest, size } },
        );
      return facts;
    }),
  );
}

/** Makes a tenant an OCI image layout, once. Images are found by aeon's own names, not by the index. */
async function prepareTenant(objects: ObjectStore, folder: string, signal: AbortSignal): Promise<void> {
  if ((await objects.stat(layout.ociLayout(folder), signal)) !== undefined) return;
  const index = { schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests: [] };
  await objects.create(layout.ociIndex(folder), encodeJson(index), signal);
  await objects.create(layout.ociLayout(folder), encodeJson({ imageLayoutVersion: "1.0.0" }), signal);
}
