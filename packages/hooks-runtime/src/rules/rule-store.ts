import { watch, type FSWatcher } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { errorMessage, silentLogger, type Logger } from "@aeon/core";
import { existingFolder } from "./existing-folder.ts";
import { loadRules } from "./load-rules.ts";
import { compilePlan, type Plan } from "./plan.ts";
import type { RuleSources } from "./rule-files.ts";

export interface RuleStoreOptions {
  readonly sources: RuleSources;
  readonly log?: Logger;
  /** Called after each change of {@link RuleStore.plan}. */
  readonly onChange?: (plan: Plan) => void;
}

/** Rules that follow their files; the last good ones stay in force while the files are broken. */
export interface RuleStore extends AsyncDisposable {
  readonly plan: Plan;
  /** Why the files as they are now are not in force. */
  readonly failure: string | undefined;
  /** Reads the files at once; rejects as {@link loadRules} and keeps the plan when they are broken. */
  reload(): Promise<void>;
}

/** Editors and Kubernetes change a file in several steps. */
const settleMs = 100;

/** Loads rules and watches their folders. Broken files at the start leave it without rules and with a failure. */
export async function openRuleStore(options: RuleStoreOptions): Promise<RuleStore> {
  const store = new WatchingRuleStore(options);
  await store.reload().catch(() => {});
  return store;
}

class WatchingRuleStore implements RuleStore {
  readonly #options: RuleStoreOptions;
  readonly #log: Logger;
  readonly #stop = new AbortController();
  #watchers: readonly FSWatcher[] = [];
  #plan = compilePlan([]);
  #failure: string | undefined;
  #waiting = false;
  #settling: Promise<void> | undefined;

  constructor(options: RuleStoreOptions) {
    this.#options = options;
    this.#log = options.log ?? silentLogger;
    this.#arm();
  }

  get plan(): Plan {
    return this.#plan;
  }

  get failure(): string | undefined {
    return this.#failure;
  }

  async reload(): Promise<void> {
    try {
      const plan = await loadRules(this.#options.sources);
      this.#failure = undefined;
      if (plan.digest === this.#plan.digest) return;
      this.#plan = plan;
      this.#log.info({ rules: plan.rules.length, digest: plan.digest }, "hook rules loaded");
      this.#options.onChange?.(plan);
    } catch (error) {
      this.#failure = errorMessage(error);
      this.#log.error({ error: this.#failure, kept: this.#plan.digest }, "hook rules refused");
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error("rule store closed"));
    for (const watcher of this.#watchers) watcher.close();
    await this.#settling;
  }

  /** A folder that does not exist yet is waited for in the closest one above it. */
  #arm(): void {
    for (const watcher of this.#watchers) watcher.close();
    const { file, hooksD } = this.#options.sources;
    const folders = new Set([dirname(file), ...hooksD].map(existingFolder));
    this.#watchers = [...folders].flatMap((folder) => this.#watch(folder));
  }

  #watch(folder: string): readonly FSWatcher[] {
    try {
      const watcher = watch(folder, { persistent: false }, () => this.#changed());
      watcher.on("error", () => watcher.close());
      return [watcher];
    } catch (error) {
      this.#log.warn({ folder, error: errorMessage(error) }, "folder of hook rules is not watched");
      return [];
    }
  }

  /** Changes that come while files are read are read once more afterwards. */
  #changed(): void {
    if (this.#waiting) return;
    this.#waiting = true;
    this.#settling = this.#settle(this.#settling);
  }

  async #settle(previous: Promise<void> | undefined): Promise<void> {
    const { signal } = this.#stop;
    const stopped = await delay(settleMs, false, { signal, ref: false }).catch(() => true);
    this.#waiting = false;
    await previous;
    if (!stopped) this.#arm();
    // Failures are kept and logged by reload.
    if (!stopped) await this.reload().catch(() => {});
  }
}
