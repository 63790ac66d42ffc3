import { EventEmitter, on } from "node:events";
import type { BackupId } from "@aeon/core";

/**
 * What happens to a backup. `pending`: asked for, waits for its turn. `capturing`: its layer is being secured on this
 * host. `staged`: safe on this host. `packing`: becomes an archive, which stays here until the end. `uploading`, `verifying`:
 * the archive goes to the store, is looked at there and gets its names. `stored`: complete. `failed`: an attempt
 * failed, the next one follows. `skipped`: there was nothing to keep.
 */
export type Phase =
  | "pending"
  | "capturing"
  | "staged"
  | "packing"
  | "uploading"
  | "verifying"
  | "stored"
  | "failed"
  | "skipped";

/** How far a phase is, in bytes; the whole is absent while it is not known. */
export interface Progress {
  readonly done: number;
  readonly total?: number;
}

/** An edge: a backup went from one phase to another. */
export interface PhaseChange {
  /** The backup, or the snapshot's key where there is none (`pending`, `skipped`). */
  readonly subject: string;
  readonly from: Phase | undefined;
  readonly to: Phase;
  /** Nanoseconds since the epoch. */
  readonly at: bigint;
  /** Why, for `failed` and `skipped`. */
  readonly reason?: string;
  /** When a failed one is tried again. */
  readonly nextAttemptAt?: bigint;
}

interface Current {
  readonly phase: Phase;
  readonly since: number;
  progress?: Progress;
  toldAt: number;
}

export interface PhasesOptions {
  /** Nanoseconds since the epoch. */
  readonly now: () => bigint;
  /** Told of every edge, with the seconds that the phase before it took where that is known. */
  readonly onChange: (change: PhaseChange, seconds: number | undefined) => void;
  /** Told now and then of a backup that got on within its phase. */
  readonly onProgress: (id: BackupId) => void;
}

interface Events {
  change: [change: PhaseChange];
}

/** Milliseconds between two reports of progress. */
const progressMs = 250;
const ends: ReadonlySet<Phase> = new Set(["stored", "skipped"]);

/** In which phase each backup is that this process works on. What has to survive it is in the records. */
export class Phases {
  readonly #options: PhasesOptions;
  readonly #current = new Map<string, Current>();
  readonly #events = new EventEmitter<Events>();

  constructor(options: PhasesOptions) {
    this.#options = options;
    this.#events.setMaxListeners(0);
  }

  /** Entering the phase in which it is already changes nothing. */
  enter(subject: string, to: Phase, facts: Pick<PhaseChange, "reason" | "nextAttemptAt"> = {}): void {
    const before = this.#current.get(subject);
    if (before?.phase === to) return;
    const since = performance.now();
    if (ends.has(to)) this.#current.delete(subject);
    else this.#current.set(subject, { phase: to, since, toldAt: since });
    const change = { subject, from: before?.phase, to, at: this.#options.now(), ...facts };
    this.#options.onChange(change, before && (since - before.since) / 1000);
    this.#events.emit("change", change);
  }

  /** Says how far the current phase is. */
  progress(id: BackupId, progress: Progress): void {
    const current = this.#current.get(id);
    if (current === undefined) return;
    current.progress = progress;
    const now = performance.now();
    if (now - current.toldAt < progressMs && progress.done !== progress.total) return;
    current.toldAt = now;
    this.#options.onProgress(id);
  }

  /** `forMs`: how long it has been in that phase. */
  of(
    id: BackupId,
  ): { readonly phase: Phase; readonly forMs: number; readonly progress?: Progress } | undefined {
    const current = this.#current.get(id);
    if (current === undefined) return undefined;
    const { phase, since, progress } = current;
    return { phase, forMs: performance.now() - since, ...(progress !== undefined && { progress }) };
  }

  /** A backup was made of what was asked for. */
  rename(subject: string, id: BackupId): void {
    const current = this.#current.get(subject);
    if (current === undefined) return;
    this.#current.delete(subject);
    this.#current.set(id, current);
  }

  /** Forgets a backup that does not exist any more. */
  forget(subject: string): void {
    this.#current.delete(subject);
  }

  /** Every edge from now on. */
  async *changes(signal: AbortSignal): AsyncGenerator<PhaseChange, void> {
    for await (const [told] of on(this.#events, "change", { signal })) {
      const change: PhaseChange = told;
      yield change;
    }
  }
}
