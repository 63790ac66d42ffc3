import { join } from "node:path";
import type { PluginContext } from "@aeon/core";
import type { BackupMetrics } from "./backup-metrics.ts";
import type { BackupConfig } from "./config.ts";
import { storeTable } from "./objects/open-objects.ts";
import type { PartialLifetime } from "./partial-lifetime.ts";
import type { BackupStore } from "./store/backup-store.ts";
import type { ArchiveWorker } from "./worker/archive-worker.ts";

/** How often it is asked whether a round is due, milliseconds. */
const turnMs = 600_000;

export interface ScrubParts {
  readonly context: PluginContext<BackupConfig>;
  readonly life: PartialLifetime;
  readonly store: BackupStore;
  readonly worker: ArchiveWorker;
  readonly metrics: BackupMetrics;
}

/** Reads the store again now and then, where that is configured; loads what it takes only there. */
export async function startScrubber({ context, life, store, worker, metrics }: ScrubParts): Promise<void> {
  const { config, root, log } = context;
  const { interval, bandwidth } = config.scrub;
  if (interval === undefined) return;
  const { Scrubber } = await import("./store/scrub/scrubber.ts");
  const { Findings } = await import("./store/scrub/findings.ts");
  const scrubber = life.use(
    new Scrubber({
      store,
      table: storeTable(config.store, root),
      worker,
      findings: await Findings.open(join(root, "scrub.json")),
      intervalMs: interval,
      bandwidth,
      log,
      onRead: (bytes) => metrics.scrubbed(bytes),
      onFindings: (count) => metrics.damaged(count),
    }),
  );
  context.health("stored-backups", () => scrubber.health());
  life.every(Math.min(interval, turnMs), () => scrubber.start());
}
