import { randomBytes } from "node:crypto";
import { readdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf, errorMessage, toAeonError, type ContainerRegistry, type Logger } from "@aeon/core";
import { layerFiles } from "../archive/blob-descriptor.ts";
import { leftOut } from "../archive/exclusions.ts";
import type { Staging } from "../capture/staging.ts";
import { reached } from "../capture/steps.ts";
import { errors } from "../errors.ts";
import type { BackupRecord } from "../records/backup-record.ts";
import type { BackupRecords } from "../records/backup-records.ts";
import type { BackupDraft, StoredLayer } from "../store/backup-document.ts";
import type { BackupStore } from "../store/backup-store.ts";
import { chainIdOf } from "../restore/image-layers.ts";
import { chainOf } from "../store/chain.ts";
import type { Squasher } from "../restore/squasher.ts";
import type { ArchiveWorker, Packed } from "../worker/archive-worker.ts";
import { linkOrCopy } from "./link-or-copy.ts";

export interface PackerOptions {
  readonly backups: BackupRecords;
  readonly staging: Staging;
  readonly store: BackupStore;
  readonly worker: ArchiveWorker;
  readonly squasher: Squasher;
  readonly registry: ContainerRegistry | undefined;
  /** zstd level, 1…19. */
  readonly level: number;
  /** Paths in containers that no backup holds; see Exclusions. */
  readonly exclude: readonly string[];
  /** This node's name in documents. */
  readonly node: string;
  readonly log: Logger;
  /** Nanoseconds since the epoch. */
  readonly now: () => bigint;
  /** Told of every layer that was packed. */
  readonly onPacked: (facts: {
    readonly seconds: number;
    readonly rawSize: number;
    readonly size: number;
  }) => void;
}

/** An archive with nothing in it but its root. */
const emptyEntries = 1;

/** Brings one staged backup into the store; every step may be repeated after a crash. */
export class Packer {
  readonly #options: PackerOptions;
  #emptied: Promise<void> | undefined;

  constructor(options: PackerOptions) {
    this.#options = options;
  }

  /** The layers below a backup; undefined while the backup that it stands on is not stored itself. */
  layersBelow({ parent }: BackupRecord): readonly StoredLayer[] | undefined {
    return parent === undefined ? [] : (parent.layers ?? this.#options.backups.get(parent.id)?.layers);
  }

  async store(record: BackupRecord, signal: AbortSignal): Promise<void> {
    const { backups, store, registry, node, log, now, onPacked } = this.#options;
    const { id } = record;
    const below = this.layersBelow(record);
    if (below === undefined)
      throw errors.BACKUP_NOT_STORED(`backup ${record.parent?.id}, on which ${id} stands, is not stored yet`);
    const startedAt = performance.now();
    const file = join(await this.#spool(signal), `${id}-${randomBytes(6).toString("hex")}`);
    try {
      const { packed, squashed } = await this.#pack(record, { file, below }, signal);
      const { layer, report } = packed;
      onPacked({ seconds: (performance.now() - startedAt) / 1000, rawSize: layer.rawSize, size: layer.size });
      const { tenant } = chainOf(record.identity);
      const own: StoredLayer = { ...layer, tenant, backup: id };
      const isEmpty = !squashed && layer.entries === emptyEntries && record.parent !== undefined;
      if (!isEmpty) await store.putLayer(layerFiles(file), own, { signal });
      reached("layer-stored", id);
      const chain = isEmpty ? below : squashed ? [own] : [...below, own];
      const layers = await this.#ofTenant(chain, tenant, signal);
      const stored = await store.putBackup(draftOf(record, { node, layers, squashed, report }), signal);
      reached("backup-stored", id);
      const size = isEmpty ? 0 : layer.size;
      const { digest, location } = stored;
      await backups.stored(id, {
        digest,
        size,
        location,
        storedAt: now(),
        layers: stored.document.layers,
      });
      reached("recorded", id);
      log.info(
        { backup: id, bytes: size, entries: layer.entries, deviations: report.deviationCount },
        "backup stored",
      );
    } finally {
      for (const each of Object.values(layerFiles(file)))
        await unlink(each).catch((error: unknown) => {
          if (errnoOf(error) !== "ENOENT") throw error;
        });
    }
    if (!record.final) return;
    await registry?.transition(record.snapshotKey, "backed-up").catch((error: unknown) => {
      log.debug(
        { backup: id, error: toAeonError(error, "transition").message },
        "container state not changed",
      );
    });
  }

  /** The layer in files of that name, whether it is packed now or was before. */
  async #pack(
    { id, identity, overlay, idMaps, packed, place, upperdir }: BackupRecord,
    { file, below }: { readonly file: string; readonly below: readonly StoredLayer[] },
    signal: AbortSignal,
  ): Promise<{ readonly packed: Packed; readonly squashed: boolean }> {
    const { staging, squasher, worker, level, exclude } = this.#options;
    if (packed !== undefined) {
      const [from, to] = [layerFiles(staging.packed(id)), layerFiles(file)];
      for (const name of ["layer", "index", "toc"] as const) await linkOrCopy(from[name], to[name]);
      return { packed, squashed: false };
    }
    const source = place === "snapshot" ? upperdir : staging.layer(id);
    const lowers = await squasher.lowersOf({ folder: source, overlay, below }, signal);
    const left = leftOut(exclude, identity.pod !== undefined);
    const made = await worker.pack({ source, target: file, overlay, idMaps, lowers, level, ...left }, signal);
    reached("packed", id);
    return { packed: made, squashed: lowers.length > 0 };
  }

  /** A folder for new archives; what an earlier life left there goes before the first. */
  async #spool(signal: AbortSignal): Promise<string> {
    const folder = await this.#options.store.spool(signal);
    await (this.#emptied ??= empty(folder).catch((error: unknown) => {
      this.#emptied = undefined;
      throw error;
    }));
    return folder;
  }

  /** A container may stand on layers of another tenant that somebody restored into it. */
  async #ofTenant(
    layers: readonly StoredLayer[],
    tenant: string,
    signal: AbortSignal,
  ): Promise<StoredLayer[]> {
    const { store } = this.#options;
    const own: StoredLayer[] = [];
    for (const layer of layers)
      own.push(layer.tenant === tenant ? layer : await store.copyLayer(layer, tenant, signal));
    return own;
  }

  /** Deletes the staged copy of a stored backup; a layer that is still in its snapshot goes with that one. */
  async discard({ id }: BackupRecord, signal: AbortSignal): Promise<void> {
    const { backups, staging, worker, log } = this.#options;
    await this.#spool(signal).catch((error: unknown) =>
      log.debug({ error: errorMessage(error) }, "left archives not removed yet"),
    );
    if (backups.get(id)?.place === "staging") await worker.remove(staging.folder(id), signal);
    reached("discarded", id);
    await backups.discarded(id);
  }
}

/** The name of the snapshot that the container's stood on tells the image's chain id. */
function baseOf({ identity: { image }, snapshotParent }: BackupRecord): Pick<BackupDraft, "base"> {
  const chainId = snapshotParent && chainIdOf(snapshotParent);
  const base = { ...(image !== undefined && { image }), ...(chainId !== undefined && { chainId }) };
  return Object.keys(base).length > 0 ? { base } : {};
}

/** Folders in it are the store's own. */
async function empty(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true }))
    if (!entry.isDirectory()) await unlink(join(folder, entry.name));
}

interface Contents {
  readonly node: string;
  /** The whole chain, the lowest first. */
  readonly layers: readonly StoredLayer[];
  /** Whether the chain is one layer made of several. */
  readonly squashed: boolean;
  readonly report: BackupDraft["report"];
}

function draftOf(record: BackupRecord, { node, layers, squashed, report }: Contents): BackupDraft {
  const { id, identity, createdAt, parent, trigger, consistency } = record;
  return {
    format: 1,
    id,
    chain: chainOf(identity),
    node,
    identity,
    createdAt: String(createdAt),
    trigger,
    consistency,
    ...(parent !== undefined && { parent: parent.id }),
    ...baseOf(record),
    ...(squashed && { squashed }),
    layers: [...layers],
    report,
  };
}
