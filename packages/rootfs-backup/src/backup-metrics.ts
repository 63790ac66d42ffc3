import type { Metrics } from "@aeon/core";
import type { PhaseChange } from "./queue/phases.ts";
import type { BackupRecords } from "./records/backup-records.ts";

/** Seconds; packing and restoring take from milliseconds to an hour. */
const buckets = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3600];

/** The plugin's Prometheus metrics. */
export class BackupMetrics {
  readonly #captures;
  readonly #packSeconds;
  readonly #rawBytes;
  readonly #storedBytes;
  readonly #restores;
  readonly #fallbacks;
  readonly #restoreSeconds;
  readonly #waiting;
  readonly #waitingBytes;
  readonly #oldest;
  readonly #phases;
  readonly #phaseSeconds;
  readonly #uploadedBytes;
  readonly #depth;
  readonly #nextRetry;
  readonly #scrubbedBytes;
  readonly #damaged;

  constructor(metrics: Metrics) {
    this.#captures = metrics.counter({
      name: "backup_captures_total",
      help: "Removals of snapshots that had to be kept, by whether the layer was captured or the removal refused.",
      labels: ["result"],
    });
    this.#packSeconds = metrics.histogram({
      name: "backup_pack_seconds",
      help: "Time to pack one layer.",
      buckets,
    });
    this.#rawBytes = metrics.counter({
      name: "backup_raw_bytes_total",
      help: "Bytes of packed layers before compression.",
    });
    this.#storedBytes = metrics.counter({
      name: "backup_stored_bytes_total",
      help: "Bytes of packed layers after compression.",
    });
    this.#restores = metrics.counter({
      name: "backup_restores_total",
      help: "Starts of containers with a restore request, by whether the layers were there in time.",
      labels: ["result"],
    });
    this.#fallbacks = metrics.counter({
      name: "backup_restore_fallbacks_total",
      help: "Damaged backups in whose place an older one was restored.",
    });
    this.#restoreSeconds = metrics.histogram({
      name: "backup_restore_wait_seconds",
      help: "Time that the start of a container waited for its restored layers.",
      buckets,
    });
    this.#waiting = metrics.gauge({
      name: "backup_staged_layers",
      help: "Captured layers that are not stored yet.",
    });
    this.#waitingBytes = metrics.gauge({
      name: "backup_staging_bytes",
      help: "Bytes of measured layers that are not stored yet.",
    });
    this.#oldest = metrics.gauge({
      name: "backup_oldest_unprotected_seconds",
      help: "Age of the oldest captured layer that is not stored yet; 0 when there is none.",
    });
    this.#phases = metrics.counter({
      name: "backup_phase_changes_total",
      help: "Backups that went from one phase to another; `from` is empty for the first one that this agent saw.",
      labels: ["from", "to"],
    });
    this.#phaseSeconds = metrics.histogram({
      name: "backup_phase_seconds",
      help: "Time that backups spent in a phase.",
      labels: ["phase"],
      buckets,
    });
    this.#uploadedBytes = metrics.counter({
      name: "backup_uploaded_bytes_total",
      help: "Bytes of packed layers that the store has taken.",
    });
    this.#depth = metrics.gauge({
      name: "backup_queue_depth",
      help: "Backups that are not stored, by what is next: to be packed, uploaded, or tried again after a failure.",
      labels: ["next"],
    });
    this.#nextRetry = metrics.gauge({
      name: "backup_next_retry_seconds",
      help: "Time until the first failed backup is tried again; 0 when none waits.",
    });
    this.#scrubbedBytes = metrics.counter({
      name: "backup_scrubbed_bytes_total",
      help: "Bytes of whole layers that were read again from the store and compared.",
    });
    this.#damaged = metrics.gauge({
      name: "backup_damaged",
      help: "Faults of stored backups that this node's last reading of the whole store found.",
    });
  }

  scrubbed(bytes: number): void {
    this.#scrubbedBytes.inc(bytes);
  }

  damaged(count: number): void {
    this.#damaged.set(count);
  }

  phase({ from, to }: PhaseChange, seconds: number | undefined): void {
    this.#phases.inc({ from: from ?? "", to });
    if (from !== undefined && seconds !== undefined) this.#phaseSeconds.observe({ phase: from }, seconds);
  }

  uploaded(bytes: number): void {
    this.#uploadedBytes.inc(bytes);
  }

  capture(result: "captured" | "refused"): void {
    this.#captures.inc({ result });
  }

  packed({
    seconds,
    rawSize,
    size,
  }: {
    readonly seconds: number;
    readonly rawSize: number;
    readonly size: number;
  }): void {
    this.#packSeconds.observe(seconds);
    this.#rawBytes.inc(rawSize);
    this.#storedBytes.inc(size);
  }

  restore(result: "restored" | "refused", seconds: number): void {
    this.#restores.inc({ result });
    this.#restoreSeconds.observe(seconds);
  }

  fallback(): void {
    this.#fallbacks.inc();
  }

  queue(records: BackupRecords, now: bigint): void {
    const { count, bytes, oldest } = records.waiting();
    this.#waiting.set(count);
    this.#waitingBytes.set(bytes);
    this.#oldest.set(oldest === undefined ? 0 : Number((now - oldest) / 1_000_000_000n));
    const counts = { pack: 0, upload: 0, retry: 0 };
    let retryAt: bigint | undefined;
    for (const { state, packed, failure, nextAttemptAt } of records.unfinished()) {
      if (state !== "staged") continue;
      counts[failure !== undefined ? "retry" : packed === undefined ? "pack" : "upload"] += 1;
      if (failure !== undefined && (retryAt === undefined || nextAttemptAt < retryAt))
        retryAt = nextAttemptAt;
    }
    for (const [next, value] of Object.entries(counts)) this.#depth.set({ next }, value);
    this.#nextRetry.set(
      retryAt === undefined || retryAt < now ? 0 : Number((retryAt - now) / 1_000_000_000n),
    );
  }
}
