import type { BackupId, Health, PluginContext } from "@aeon/core";
import type { Staging } from "./capture/staging.ts";
import type { BackupConfig } from "./config.ts";
import type { BackupRecords } from "./records/backup-records.ts";

export interface Watched {
  readonly records: BackupRecords;
  readonly staging: Staging;
  /** Folders in staging that no record named at the start. */
  readonly strangers: readonly BackupId[];
  /** Bytes that may wait in staging. */
  readonly limit: number;
}

/** Shows the health of staging and store. */
export function watchHealth(
  context: PluginContext<BackupConfig>,
  { records, staging, strangers, limit }: Watched,
): void {
  context.health("staging", (): Health => {
    if (staging.problem !== undefined) return { ok: false, reason: staging.problem };
    const { bytes, count } = records.waiting();
    if (bytes >= limit)
      return {
        ok: false,
        reason: `${count} captured layers of ${bytes} bytes wait to be stored; the limit is ${limit}`,
      };
    const unknown = strangers.filter((id) => records.get(id) === undefined);
    if (unknown.length > 0)
      return {
        ok: false,
        reason: `${staging.path} holds folders that no record names: ${unknown.join(", ")}`,
      };
    return { ok: true };
  });
  context.health("store", (): Health => {
    const failing = records.unfinished().filter(({ failure }) => failure !== undefined);
    const [first] = failing;
    if (first === undefined) return { ok: true };
    return {
      ok: false,
      reason: `${failing.length} backups are not stored, the oldest (${first.id}): ${first.failure}`,
    };
  });
}
