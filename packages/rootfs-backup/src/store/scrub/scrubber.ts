import {
  backupId,
  errorMessage,
  isAeonError,
  Lifetime,
  toAeonError,
  type AeonError,
  type Health,
  type Logger,
} from "@aeon/core";
import type { ArchiveWorker } from "../../worker/archive-worker.ts";
import type { StoredLayer } from "../backup-document.ts";
import type { BackupRef } from "../backup-ref.ts";
import type { BackupStore } from "../backup-store.ts";
import type { Finding, Findings } from "./findings.ts";

export interface ScrubberOptions {
  readonly store: BackupStore;
  /** The table of the store's configuration, for the processes that read. */
  readonly table: Readonly<Record<string, unknown>>;
  readonly worker: Pick<ArchiveWorker, "verify">;
  readonly findings: Findings;
  /** Between two rounds of all nodes that use the store. */
  readonly intervalMs: number;
  /** Bytes per second to read at most. */
  readonly bandwidth: number;
  readonly log: Logger;
  readonly onRead: (bytes: number) => void;
  readonly onFindings: (count: number) => void;
}

/** Backups that a health report names. */
const named = 5;

/**
 * Reads everything in the store again now and then, on one node at a time and slowly, so that damage is known before
 * somebody needs the backup. What is damaged is reported, never removed.
 */
export class Scrubber implements AsyncDisposable {
  readonly #options: ScrubberOptions;
  readonly #life = new Lifetime();
  #running: Promise<void> | undefined;

  constructor(options: ScrubberOptions) {
    this.#options = options;
    this.#life.defer(() => this.#running);
    options.onFindings(options.findings.all.length);
  }

  /** Begins a round unless one is under way or it is not this node's turn; failures are logged. */
  start(): void {
    if (this.#life.signal.aborted) return;
    this.#running ??= this.#round()
      .catch((error: unknown) => {
        if (!this.#life.signal.aborted)
          this.#options.log.warn({ error: errorMessage(error) }, "stored backups not read again");
      })
      .finally(() => (this.#running = undefined));
  }

  health(): Health {
    const { all } = this.#options.findings;
    const [first] = all;
    if (first === undefined) return { ok: true };
    const backups = [...new Set(all.map(({ backup }) => backup))];
    const shown = backups.slice(0, named).join(", ");
    const more = backups.length > named ? ` and ${backups.length - named} more` : "";
    return {
      ok: false,
      reason: `stored backups are damaged: ${shown}${more}; the first: ${first.message}`,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#life[Symbol.asyncDispose]();
  }

  async #round(): Promise<void> {
    const { store, intervalMs, findings, log, onFindings } = this.#options;
    const { signal } = this.#life;
    if ((await store.claim("scrub", intervalMs, signal)) === undefined) return;
    const found: Finding[] = [];
    const report = (backup: string, { reason, message }: AeonError): void => {
      found.push({ backup, reason, message });
      log.error({ backup, reason, error: message }, "stored backup is damaged");
    };
    const refs: BackupRef[] = [];
    const onDamaged = (key: string, error: unknown): void => report(key, toAeonError(error, `read ${key}`));
    for await (const ref of store.list({ onDamaged }, signal)) refs.push(ref);
    // In another order each time: a round that is cut off leaves out other backups than the last one did.
    const checked = new Map<string, AeonError | undefined>();
    for (const ref of shuffled(refs)) await this.#check(ref, checked, (error) => report(ref.id, error));
    await findings.replace(found);
    onFindings(found.length);
    log.info(
      { backups: refs.length, layers: checked.size, damaged: found.length },
      "stored backups read again",
    );
  }

  /** Reads each layer once, however many backups have it. */
  async #check(
    { id, chain }: BackupRef,
    checked: Map<string, AeonError | undefined>,
    report: (error: AeonError) => void,
  ): Promise<void> {
    const { store } = this.#options;
    const { signal } = this.#life;
    const stored = await damageOf(() => store.getBackup(backupId(id), signal, chain.tenant), signal);
    if (stored.damage !== undefined) report(stored.damage);
    // Removed meanwhile.
    for (const layer of stored.result?.document.layers ?? []) {
      const name = `${layer.tenant} ${layer.digest} ${layer.index.digest} ${layer.toc.digest}`;
      if (!checked.has(name)) checked.set(name, await this.#verify(layer));
      const damage = checked.get(name);
      if (damage !== undefined && (await store.hasBackup(backupId(id), chain.tenant, signal))) report(damage);
    }
  }

  async #verify(layer: StoredLayer): Promise<AeonError | undefined> {
    const { worker, table, bandwidth, onRead } = this.#options;
    const { signal } = this.#life;
    const request = { store: JSON.stringify(table), tenant: layer.tenant, layer, rate: bandwidth };
    const { result, damage } = await damageOf(() => worker.verify(request, signal), signal);
    if (result !== undefined) onRead(result);
    return damage;
  }
}

const damages: ReadonlySet<string> = new Set([
  "ARCHIVE_CORRUPT",
  "ARCHIVE_HOSTILE",
  "ARCHIVE_UNSUPPORTED",
  "BACKUP_DAMAGED",
  "BACKUP_FOREIGN",
]);

/** Anything but damage ends the round: a store that is out of reach tells nothing, nor does a process that was killed. */
async function damageOf<T>(
  work: () => Promise<T>,
  signal: AbortSignal,
): Promise<{ readonly result?: T; readonly damage?: AeonError }> {
  try {
    return { result: await work() };
  } catch (error) {
    signal.throwIfAborted();
    if (!isAeonError(error)) throw error;
    if (damages.has(error.reason)) return { damage: error };
    // Of a key that nobody has any more; restoring it tells that.
    if (error.reason === "ENCRYPTION_KEY_MISSING") return {};
    throw error;
  }
}

function shuffled<T>(values: readonly T[]): readonly T[] {
  const mixed = [...values];
  for (let left = mixed.length - 1; left > 0; left -= 1) {
    const other = Math.floor(Math.random() * (left + 1));
    const [a, b] = [mixed[left], mixed[other]];
    if (a !== undefined && b !== undefined) [mixed[left], mixed[other]] = [b, a];
  }
  return mixed;
}
