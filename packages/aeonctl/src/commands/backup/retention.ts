import type { RetentionRules } from "@aeon/rootfs-backup/inspect";
import { InvalidArgumentError, type Command } from "commander";
import { addStoreOptions, withStore } from "../../catalog.ts";
import { addExamples, print, type CliStreams } from "../../cli.ts";
import { parseSpan } from "../../format/since.ts";
import { expiredView, retentionText, type ExpiredView } from "../../views/retention.ts";

interface RetentionOptions {
  readonly keepLast?: number;
  readonly keepHourly?: number;
  readonly keepDaily?: number;
  readonly keepWeekly?: number;
  readonly maxAge?: number;
  readonly maxBytes?: number;
}

/** `aeonctl backup retention` */
export function addRetention(backup: Command, streams: CliStreams): void {
  const retention = addStoreOptions(
    backup
      .command("retention")
      .description("show which backups would be removed now, and by which rule; removes nothing")
      .option("--keep-last <count>", "try this rule instead of the configured ones", count)
      .option("--keep-hourly <count>", "the newest of each of so many hours", count)
      .option("--keep-daily <count>", "the newest of each of so many days", count)
      .option("--keep-weekly <count>", "the newest of each of so many weeks", count)
      .option("--max-age <time>", "older ones go, such as 30d", parseSpan)
      .option("--max-bytes <bytes>", "the oldest go until the others need no more", count),
  ).action((options: RetentionOptions, self: Command) =>
    withStore(self, async ({ store, retention: configured }, signal) => {
      const asked = rulesOf(options);
      const rules = Object.keys(asked).length > 0 ? asked : (configured ?? {});
      const expired: ExpiredView[] = [];
      for await (const each of store.previewRetention(rules, Date.now(), signal))
        expired.push(expiredView(each));
      const view = { store: store.location, rules: { ...rules }, expired };
      await print(streams, self, view, { table: retentionText });
    }),
  );
  addExamples(retention, [
    ["aeonctl backup retention", "by the agent's rules"],
    ["aeonctl backup retention --keep-last 3 --max-age 30d", "by others, before they are configured"],
    ["aeonctl backup pin BACKUP --reason 'legal hold'", "what is pinned never goes"],
  ]);
}

/** Only what was said. */
function rulesOf(options: RetentionOptions): RetentionRules {
  const { keepLast, keepHourly, keepDaily, keepWeekly, maxAge, maxBytes } = options;
  return {
    ...(keepLast !== undefined && { keepLast }),
    ...(keepHourly !== undefined && { keepHourly }),
    ...(keepDaily !== undefined && { keepDaily }),
    ...(keepWeekly !== undefined && { keepWeekly }),
    ...(maxAge !== undefined && { maxAgeMs: maxAge }),
    ...(maxBytes !== undefined && { maxBytes }),
  };
}

function count(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError("Expected a whole number.");
  return Number(text);
}
