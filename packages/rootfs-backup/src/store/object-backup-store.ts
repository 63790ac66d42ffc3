import { backupId, errorMessage, type BackupId, type Logger } from "@aeon/core";
import type { LayerFiles } from "../archive/blob-descriptor.ts";
import { errors } from "../errors.ts";
import type { LocalFile, ObjectStore } from "../objects/object-store.ts";
import type { BackupDraft, Descriptor, StoredLayer } from "./backup-document.ts";
import type { BackupRef } from "./backup-ref.ts";
import type {
  BackupStore,
  Pin,
  PutLayerOptions,
  StoredBackup,
  SweepOptions,
  SweepReport,
  VerifyLayerOptions,
} from "./backup-store.ts";
import { applyRetention, previewRetention, type Expired } from "./apply-retention.ts";
import { isSameChain, type ChainKey } from "./chain.ts";
import { claimTurn, type Turn } from "./claim-turn.ts";
import { copyLayer } from "./copy-layer.ts";
import { advance, type Head } from "./head.ts";
import { readHolds, writeHold, type Hold, type HoldRequest } from "./holds.ts";
import { layout } from "./layout.ts";
import { listRefs, type ListFilter } from "./list-refs.ts";
import { readHead } from "./move-head.ts";
import { findRef, idsIn, tenantFolders } from "./names.ts";
import { pinBackup, readPin, unpinBackup } from "./pins.ts";
import { newestRef, publishBackup } from "./publish.ts";
import { previewSweep } from "./preview-sweep.ts";
import { readImage } from "./read-image.ts";
import { assertRemovable, removeBackup, type RemoveOptions } from "./remove-backup.ts";
import type { RetentionRules } from "./retention.ts";
import { sweepTenant } from "./sweep-tenant.ts";
import { verifyStoredLayer } from "./verify-stored-layer.ts";

const defaultGraceMs = 24 * 3_600_000;
/** How long unfinished writes of other nodes stay. */
const unfinishedMs = 7 * 24 * 3_600_000;

export interface BackupStoreOptions {
  readonly objects: ObjectStore;
  readonly log: Logger;
}

/** A store of backups on a store of objects, which it disposes of. */
export const backupStore = (options: BackupStoreOptions): BackupStore => new ObjectBackupStore(options);

class ObjectBackupStore implements BackupStore {
  readonly #objects: ObjectStore;
  readonly #log: Logger;

  constructor({ objects, log }: BackupStoreOptions) {
    this.#objects = objects;
    this.#log = log;
  }

  get location(): string {
    return this.#objects.location;
  }

  spool(signal: AbortSignal): Promise<string> {
    return this.#objects.spool(signal);
  }

  /** The small blobs first, so that progress ends with the last byte of the layer. */
  async putLayer(
    files: LayerFiles,
    layer: StoredLayer,
    { signal, onProgress, keep = false, pace }: PutLayerOptions,
  ): Promise<void> {
    const folder = layout.tenant(layer.tenant);
    let before = 0;
    for (const [file, { digest, size }] of [
      [files.index, layer.index],
      [files.toc, layer.toc],
      [files.layer, layer],
    ] as const) {
      const done = before;
      await this.#objects.upload(layout.blob(folder, digest), file, {
        size,
        signal,
        keep,
        ...(pace !== undefined && { pace }),
        ...(onProgress !== undefined && { onProgress: (bytes: number) => onProgress(done + bytes) }),
      });
      before += size;
    }
  }

  verifyLayer(layer: StoredLayer, options: VerifyLayerOptions): Promise<void> {
    return verifyStoredLayer(this.#objects, layer, options);
  }

  openLayer({ tenant, digest, size }: StoredLayer, signal: AbortSignal): Promise<LocalFile> {
    return this.#objects.fetch(layout.blob(layout.tenant(tenant), digest), { size, signal });
  }

  async readBlob(
    tenant: string,
    { digest, size }: Pick<Descriptor, "digest" | "size">,
    range: { readonly offset: number; readonly length: number },
    signal: AbortSignal,
  ): Promise<Buffer> {
    const found = await this.#objects.read(layout.blob(layout.tenant(tenant), digest), { signal, range });
    if (found?.bytes.length === range.length) return found.bytes;
    throw errors.BACKUP_DAMAGED(
      `blob ${digest} in ${this.location} ${found === undefined ? "is missing" : `ends before its ${size} bytes`}`,
      { details: { digest, size } },
    );
  }

  copyLayer(layer: StoredLayer, tenant: string, signal: AbortSignal): Promise<StoredLayer> {
    return copyLayer(this.#objects, layer, tenant, signal);
  }

  async putBackup(draft: BackupDraft, signal: AbortSignal): Promise<StoredBackup> {
    const ref = await publishBackup(this.#objects, draft, signal);
    await this.#reportDivergence(ref, signal);
    return this.#stored(ref, signal);
  }

  async getBackup(id: BackupId, signal: AbortSignal, tenant?: string): Promise<StoredBackup | undefined> {
    const ref = await findRef(this.#objects, id, signal, tenant);
    return ref && this.#stored(ref, signal);
  }

  named(id: BackupId, signal: AbortSignal): Promise<BackupRef | undefined> {
    return findRef(this.#objects, id, signal);
  }

  list(filter: ListFilter, signal: AbortSignal): AsyncIterable<BackupRef> {
    return listRefs(this.#objects, filter, signal);
  }

  /** A HEAD that somebody deleted is made up for by the refs. */
  async head(chain: ChainKey, signal: AbortSignal): Promise<Head | undefined> {
    const found = await readHead(this.#objects, chain, signal);
    if (found !== undefined) return found.head;
    const newest = await newestRef(this.#objects, chain, signal);
    return newest && advance(undefined, newest);
  }

  pin(id: BackupId, reason: string, signal: AbortSignal): Promise<Pin> {
    return pinBackup(this.#objects, id, reason, signal);
  }

  unpin(id: BackupId, signal: AbortSignal): Promise<void> {
    return unpinBackup(this.#objects, id, signal);
  }

  async pins(tenant: string, signal: AbortSignal): Promise<readonly Pin[]> {
    const folder = layout.tenant(tenant);
    const pins: Pin[] = [];
    for await (const id of idsIn(this.#objects, layout.pins(folder), signal)) {
      const pin = await readPin(this.#objects, folder, id, signal);
      if (pin !== undefined) pins.push(pin);
    }
    return pins;
  }

  removeBackup(id: BackupId, signal: AbortSignal, options?: RemoveOptions): Promise<void> {
    return removeBackup(this.#objects, id, signal, options);
  }

  assertRemovable(id: BackupId, tenant: string, signal: AbortSignal, options?: RemoveOptions): Promise<void> {
    return assertRemovable(this.#objects, id, tenant, signal, options);
  }

  hold(request: HoldRequest, signal: AbortSignal): Promise<void> {
    return writeHold(this.#objects, request, signal);
  }

  async holds(tenant: string, signal: AbortSignal): Promise<readonly Hold[]> {
    return (await readHolds(this.#objects, layout.tenant(tenant), Date.now(), signal)).holds;
  }

  async hasBackup(id: BackupId, tenant: string, signal: AbortSignal): Promise<boolean> {
    return (await this.#objects.stat(layout.pointer(layout.tenant(tenant), id), signal)) !== undefined;
  }

  retain(rules: RetentionRules, now: number, signal: AbortSignal): Promise<readonly BackupId[]> {
    return applyRetention(this.#objects, rules, now, signal);
  }

  previewRetention(rules: RetentionRules, now: number, signal: AbortSignal): AsyncIterable<Expired> {
    return previewRetention(this.#objects, rules, now, signal);
  }

  claim(turn: Turn, intervalMs: number, signal: AbortSignal): Promise<number | undefined> {
    return claimTurn(this.#objects, turn, intervalMs, signal);
  }

  async sweep({
    signal,
    graceMs = defaultGraceMs,
    dryRun = false,
    onDoomed,
  }: SweepOptions): Promise<SweepReport> {
    const objects = this.#objects;
    let total: SweepReport = { blobs: 0, bytes: 0, kept: 0, complete: true };
    for (const folder of await tenantFolders(objects, signal)) {
      const sweep = dryRun
        ? () => previewSweep(objects, folder, { graceMs, signal, onDoomed })
        : () => sweepTenant(objects, folder, graceMs, signal);
      const report = await this.#unlessDamaged(sweep, folder, signal);
      total = {
        blobs: total.blobs + report.blobs,
        bytes: total.bytes + report.bytes,
        kept: total.kept + report.kept,
        complete: total.complete && report.complete,
      };
    }
    const olderThanMs = Math.max(graceMs, unfinishedMs);
    if (!dryRun) await objects.sweepUnfinished(olderThanMs, signal);
    else if (onDoomed !== undefined)
      for await (const { name, ...rest } of objects.unfinished(olderThanMs, signal))
        onDoomed({ kind: "unfinished", key: name, ...rest });
    return total;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#objects[Symbol.asyncDispose]();
  }

  /** What is wrong with one tenant must not keep the others from being swept. */
  async #unlessDamaged(
    sweep: () => Promise<SweepReport>,
    folder: string,
    signal: AbortSignal,
  ): Promise<SweepReport> {
    try {
      return await sweep();
    } catch (error) {
      if (signal.aborted) throw error;
      this.#log.warn({ tenant: folder, error: errorMessage(error) }, "data of a tenant not swept");
      return { blobs: 0, bytes: 0, kept: 0, complete: false };
    }
  }

  async #stored(ref: BackupRef, signal: AbortSignal): Promise<StoredBackup> {
    const { document } = await readImage(this.#objects, ref.chain.tenant, ref.manifest, signal);
    if (document.id !== ref.id || !isSameChain(document.chain, ref.chain))
      throw errors.BACKUP_DAMAGED(`the name of backup ${ref.id} leads to backup ${document.id}`, {
        details: { backup: ref.id, found: document.id },
      });
    const key = layout.pointer(layout.tenant(ref.chain.tenant), ref.id);
    return { document, digest: ref.manifest.digest, location: `${this.location}/${key}` };
  }

  async #reportDivergence({ id, chain }: BackupRef, signal: AbortSignal): Promise<void> {
    const head = await this.head(chain, signal);
    const isTip = head?.tip?.backup === id;
    const lost = head?.diverged.at(-1);
    if (head?.tip === undefined || lost === undefined || (!isTip && lost.backup !== id)) return;
    if (lost.node === head.tip.node) return;
    this.#log.warn(
      {
        chain,
        tip: backupId(head.tip.backup),
        other: backupId(lost.backup),
        nodes: [head.tip.node, lost.node],
      },
      "two nodes backed up the same workload without knowing of each other; the later backup continues it",
    );
  }
}
