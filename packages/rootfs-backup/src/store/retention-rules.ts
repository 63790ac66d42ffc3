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
