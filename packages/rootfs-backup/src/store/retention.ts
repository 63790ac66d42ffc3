/** Which backups of a chain stay. Without any rule all do. */
export interface RetentionRules {
  /** The newest ones. */
  readonly keepLast?: number;
  /** The newest of each of the last hours, days (UTC), weeks that have one. */
  readonly keepHourly?: number;
  readonly keepDaily?: number;
  readonly keepWeekly?: number;
  /** Older ones go, whatever else would keep them. */
  readonly maxAgeMs?: number;
  /** Oldest ones go until what the others need, shared layers once, is not more. */
  readonly maxBytes?: number;
}

/** What retention has to know of a backup. */
export interface Retainable {
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly isPinned: boolean;
  /** All that it needs in the store. */
  readonly blobs: readonly { readonly digest: string; readonly size: number }[];
}

/** Why a backup goes: no rule that keeps wants it, it is too old, or the chain is too large with it. */
export type RetentionCause = "not-kept" | "max-age" | "max-bytes";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/**
 * The backups of one chain that may go, by id, given the oldest first. The newest stays, and so do pinned ones; they
 * count all the same. `now` is in milliseconds since the epoch.
 */
export function expired(
  chain: readonly Retainable[],
  rules: RetentionRules,
  now: number,
): ReadonlyMap<string, RetentionCause> {
  const gone = new Map<string, RetentionCause>();
  const newest = chain.at(-1);
  if (newest === undefined) return gone;
  const isFree = ({ id, isPinned }: Retainable) => !isPinned && id !== newest.id;
  const wanted = keptByCount(chain, rules);
  const oldest = rules.maxAgeMs === undefined ? -Infinity : now - rules.maxAgeMs;
  for (const each of chain.filter(isFree))
    if (each.createdAt < oldest) gone.set(each.id, "max-age");
    else if (!wanted.has(each.id)) gone.set(each.id, "not-kept");
  if (rules.maxBytes !== undefined) {
    const left = chain.filter(({ id }) => !gone.has(id));
    for (const id of overweight(left, isFree, rules.maxBytes)) gone.set(id, "max-bytes");
  }
  return gone;
}

function keptByCount(
  chain: readonly Retainable[],
  { keepLast, keepHourly, keepDaily, keepWeekly }: RetentionRules,
): ReadonlySet<string> {
  const counts = [keepLast, keepHourly, keepDaily, keepWeekly];
  if (counts.every((count) => count === undefined)) return new Set(chain.map(({ id }) => id));
  const newestFirst = chain.toReversed();
  const kept = new Set(newestFirst.slice(0, keepLast ?? 0).map(({ id }) => id));
  for (const [count, lengthMs] of [
    [keepHourly, hourMs],
    [keepDaily, dayMs],
    [keepWeekly, 7 * dayMs],
  ] as const) {
    const periods = new Set<number>();
    for (const { id, createdAt } of newestFirst) {
      const period = Math.floor(createdAt / lengthMs);
      if (periods.has(period) || periods.size >= (count ?? 0)) continue;
      periods.add(period);
      kept.add(id);
    }
  }
  return kept;
}

/**
 * The fewest of the oldest ones without which the rest fits; if it never does, as few as come nearest, since layers
 * that younger backups stand on stay anyway.
 */
function overweight(
  chain: readonly Retainable[],
  isFree: (backup: Retainable) => boolean,
  most: number,
): readonly string[] {
  const uses = new Map<string, number>();
  let bytes = 0;
  for (const { digest, size } of chain.flatMap(({ blobs }) => blobs)) {
    const count = uses.get(digest) ?? 0;
    if (count === 0) bytes += size;
    uses.set(digest, count + 1);
  }
  const dropped: string[] = [];
  let best = { bytes, dropped: 0 };
  for (const backup of chain.filter(isFree)) {
    if (best.bytes <= most) break;
    for (const { digest, size } of backup.blobs) {
      const count = (uses.get(digest) ?? 1) - 1;
      uses.set(digest, count);
      if (count === 0) bytes -= size;
    }
    dropped.push(backup.id);
    if (bytes < best.bytes) best = { bytes, dropped: dropped.length };
  }
  return dropped.slice(0, best.dropped);
}
