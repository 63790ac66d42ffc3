import * as v from "valibot";
import { retentionLabel } from "../capture/labels.ts";
import type { BackupConfig } from "../config.ts";
import { present } from "../present.ts";
import type { RetentionRules } from "./retention.ts";

/** The rules of the table `[backup.retention]`. */
export const retentionRules = (config: BackupConfig["retention"]): RetentionRules =>
  present({
    keepLast: config["keep-last"],
    keepHourly: config["keep-hourly"],
    keepDaily: config["keep-daily"],
    keepWeekly: config["keep-weekly"],
    maxAgeMs: config["max-age"],
    maxBytes: config["max-bytes"],
  });

const whole = v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(0)));
const rulesSchema = v.object({
  keepLast: whole,
  keepHourly: whole,
  keepDaily: whole,
  keepWeekly: whole,
  maxAgeMs: whole,
  maxBytes: whole,
});

/** Rules as the value of the label that goes with a workload's backups; the same rules give the same text. */
export const retentionText = (rules: RetentionRules): string => JSON.stringify(v.parse(rulesSchema, rules));

/** The rules that a backup's label has. Nothing when it has none, or none that make sense. */
export function ownRules(labels: Readonly<Record<string, string>>): RetentionRules {
  const text = labels[retentionLabel];
  if (text === undefined) return {};
  try {
    return present(v.parse(rulesSchema, JSON.parse(text)));
  } catch {
    return {};
  }
}
