import { errors } from "../errors.ts";
import type { BackupRef } from "../store/backup-ref.ts";
import type { BackupStore, Pin } from "../store/backup-store.ts";
import type { ListFilter } from "../store/list-refs.ts";
import { chainName } from "../store/chain.ts";

/** A backup in a list. */
export interface ListedBackup {
  readonly ref: BackupRef;
  /** True for the one that a container which continues the chain starts from. */
  readonly isHead: boolean;
  readonly pin?: Pin;
}

/** A name in the store that cannot be read. */
export interface DamagedName {
  readonly key: string;
  readonly error: unknown;
}

export interface BackupList {
  /** Newest first. */
  readonly backups: readonly ListedBackup[];
  readonly damaged: readonly DamagedName[];
}

/** Backups of a store with what their chains say of them; touches nothing but what the filter admits. */
export async function listBackups(
  store: BackupStore,
  filter: Omit<ListFilter, "onDamaged">,
  signal: AbortSignal,
): Promise<BackupList> {
  const damaged: DamagedName[] = [];
  const refs: BackupRef[] = [];
  const onDamaged = (key: string, error: unknown): void => {
    damaged.push({ key, error });
  };
  for await (const ref of store.list({ ...filter, onDamaged }, signal)) refs.push(ref);
  const marks = new Marks(store, signal);
  const backups: ListedBackup[] = [];
  for (const ref of refs.toSorted(newestFirst)) backups.push(await marks.of(ref));
  return { backups, damaged };
}

/** One backup as lists show it. Rejects with `BACKUP_NOT_FOUND` when it was removed meanwhile. */
export async function listBackup(
  store: BackupStore,
  { id, chain }: Pick<BackupRef, "id" | "chain">,
  signal: AbortSignal,
): Promise<ListedBackup> {
  for await (const ref of store.list({ ...chain, onDamaged: () => {} }, signal))
    if (ref.id === id) return new Marks(store, signal).of(ref);
  throw errors.BACKUP_NOT_FOUND(`backup ${id} is not in its chain in ${store.location}`, {
    details: { backup: id },
  });
}

function newestFirst(a: BackupRef, b: BackupRef): number {
  const difference = BigInt(b.createdAt) - BigInt(a.createdAt);
  return Number(difference > 0n) - Number(difference < 0n) || b.seq - a.seq || (a.id < b.id ? 1 : -1);
}

/** What is the same for backups of one chain or tenant is read once. */
class Marks {
  readonly #store: BackupStore;
  readonly #signal: AbortSignal;
  readonly #heads = new Map<string, Promise<string | undefined>>();
  readonly #pins = new Map<string, Promise<ReadonlyMap<string, Pin>>>();

  constructor(store: BackupStore, signal: AbortSignal) {
    this.#store = store;
    this.#signal = signal;
  }

  async of(ref: BackupRef): Promise<ListedBackup> {
    const pin = (await this.#pinsOf(ref.chain.tenant)).get(ref.id);
    const isHead = (await this.#headOf(ref)) === ref.id;
    return { ref, isHead, ...(pin !== undefined && { pin }) };
  }

  #headOf({ chain }: BackupRef): Promise<string | undefined> {
    const name = chainName(chain);
    const head =
      this.#heads.get(name) ?? this.#store.head(chain, this.#signal).then((found) => found?.tip?.backup);
    this.#heads.set(name, head);
    return head;
  }

  #pinsOf(tenant: string): Promise<ReadonlyMap<string, Pin>> {
    const pins =
      this.#pins.get(tenant) ??
      this.#store
        .pins(tenant, this.#signal)
        .then((found) => new Map(found.map((pin): [string, Pin] => [pin.backup, pin])));
    this.#pins.set(tenant, pins);
    return pins;
  }
}
