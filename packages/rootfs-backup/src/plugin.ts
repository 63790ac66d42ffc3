import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { containerdClient } from "@aeon/containerd";
import {
  backupId,
  containerRegistry,
  definePlugin,
  errorMessage,
  openDatabase,
  podEnds,
  snapshotBackend,
  type Plugin,
  type PluginContext,
} from "@aeon/core";
import { parseKeyFile, type EncryptionKey } from "./archive/encryption-key.ts";
import { BackupMetrics } from "./backup-metrics.ts";
import { backupService } from "./backup-service.ts";
import { Backups } from "./backups.ts";
import { captureHook } from "./capture/capture-hook.ts";
import { ExitCapturer } from "./capture/exit-capturer.ts";
import { Freezer } from "./capture/freezer.ts";
import { LiveCapturer } from "./capture/live-capturer.ts";
import { parseSchedule } from "./capture/schedule.ts";
import { Scheduler } from "./capture/scheduler.ts";
import { keptContainer, keptContainers } from "./capture/kept-containers.ts";
import { Capturer } from "./capture/capturer.ts";
import { Pods } from "./capture/pods.ts";
import { policyLabels } from "./capture/policy-labels.ts";
import { Restarts } from "./capture/restarts.ts";
import { Settler } from "./capture/settler.ts";
import { Staging } from "./capture/staging.ts";
import { containerdTasks } from "./capture/tasks.ts";
import { backupConfig, type BackupConfig } from "./config.ts";
import { errors } from "./errors.ts";
import { Archiver } from "./queue/archiver.ts";
import { Discarder } from "./queue/discarder.ts";
import { PackQueue } from "./queue/pack-queue.ts";
import { Phases } from "./queue/phases.ts";
import { reconcile } from "./queue/reconcile.ts";
import { TokenBucket } from "./queue/token-bucket.ts";
import { Uploader } from "./queue/uploader.ts";
import { BackupRecords } from "./records/backup-records.ts";
import { ChoiceRecords } from "./records/choice-records.ts";
import { BindingRecords } from "./records/binding-records.ts";
import { FreezeRecords } from "./records/freeze-records.ts";
import { PodRecords } from "./records/pod-records.ts";
import { RestoreRecords } from "./records/restore-records.ts";
import { migrations } from "./records/schema.ts";
import { Choices, starts } from "./restore/choices.ts";
import { Continuations } from "./restore/continuations.ts";
import { Holder } from "./restore/holder.ts";
import { ImageChange } from "./restore/image-change.ts";
import { openLayers } from "./restore/open-layers.ts";
import { restoreHook } from "./restore/restore-hook.ts";
import { Restorer } from "./restore/restorer.ts";
import { Squasher } from "./restore/squasher.ts";
import { openObjects, storeTable } from "./objects/open-objects.ts";
import { chainOf } from "./store/chain-of.ts";
import { Housekeeping } from "./store/housekeeping.ts";
import { backupStore } from "./store/object-backup-store.ts";
import { retentionRules } from "./store/retention-rules.ts";
import { PartialLifetime } from "./partial-lifetime.ts";
import { startScrubber } from "./start-scrubber.ts";
import { watchHealth } from "./watch-health.ts";
import { ArchiveWorker, type WorkerCommand } from "./worker/archive-worker.ts";

export interface BackupPluginOptions {
  /** How worker processes are started; this package's own entry when absent. */
  readonly workerCommand?: WorkerCommand;
}

/** How often unused layers are looked for, and how long they stay. */
const sweepIntervalMs = 3_600_000;
const layerGraceMs = 3_600_000;
const metricsIntervalMs = 10_000;
/** Staged copies deleted at the same time. */
const discards = 2;
/** How often a node asks whether it is its turn to tidy the store. */
const housekeepingIntervalMs = 600_000;

/** Captures writable layers when containers go, stores them, and restores them into new containers. */
export const backupPlugin = (options: BackupPluginOptions = {}): Plugin<typeof backupConfig> =>
  definePlugin({ name: "backup", config: backupConfig, start: (context) => start(context, options) });

/** No keys when nothing is to be encrypted. */
async function readKeyFile({ encryption }: BackupConfig): Promise<readonly EncryptionKey[]> {
  const path = encryption["key-file"];
  if (path === undefined) return [];
  const bytes = await readFile(path).catch((error: unknown) => {
    throw errors.ENCRYPTION_KEY_INVALID(`${path} cannot be read: ${errorMessage(error)}`, { cause: error });
  });
  return parseKeyFile(bytes, path);
}

const systemTime = (): bigint => BigInt(Date.now()) * 1_000_000n;

async function start(
  context: PluginContext<BackupConfig>,
  options: BackupPluginOptions,
): Promise<AsyncDisposable> {
  const { config, log, root } = context;
  const now = systemTime;
  assertRoot(root);
  await using life = new PartialLifetime();
  const database = life.use(openDatabase({ path: join(root, "backup.db"), migrations }));
  const registry = context.find(containerRegistry);
  const worker = life.use(new ArchiveWorker(options.workerCommand, await readKeyFile(config)));
  const records = new BackupRecords(database);
  const restores = new RestoreRecords(database);
  const bindings = new BindingRecords(database);
  const staging = await Staging.open(config.staging ?? join(root, "staging"));
  const objects = openObjects({ config: config.store, root, writer: writerName(root), log });
  const store = life.use(backupStore({ objects, log }));
  const layers = life.use(await openLayers({ context, store, worker }));
  const metrics = new BackupMetrics(context.metrics);
  const pods = new Pods(registry, new PodRecords(database), now);
  const client = context.find(containerdClient);
  const tasks = client && containerdTasks(client);
  const backend = context.find(snapshotBackend);
  const keptParts = { policy: config["default-policy"], registry, backend, pods, tasks };
  const kept = (signal: AbortSignal) => keptContainers(keptParts, signal);
  const continuations: Continuations = new Continuations({
    policy: config["default-policy"],
    unavailable: config["restore-unavailable"],
    store,
    backups: records,
    pods,
    documentOf: (id, signal) => backups.documentOf(id, signal),
    settleChain: async (chain, signal) => exits?.settleChain(chain, signal),
    log,
  });
  const phases: Phases = new Phases({
    now,
    onChange: (change, seconds) => {
      metrics.phase(change, seconds);
      backups.changed(backupId(change.subject));
      log.debug({ ...change }, "backup goes on");
    },
    onProgress: (id) => backups.changed(id),
  });
  const holder = life.use(
    new Holder({
      store,
      bindings,
      node: hostname(),
      writer: writerName(root),
      lifetimeMs: config.retention.hold,
      tenants: new Set(records.list().map(({ identity }) => chainOf(identity).tenant)),
      log,
    }),
  );
  const backups: Backups = new Backups({
    phases,
    records,
    restores,
    bindings,
    holder,
    staging,
    store,
    storeTable: storeTable(config.store, root),
    keyFile: config.encryption["key-file"],
    retention: retentionRules(config.retention),
    layers,
    registry,
    kept,
    continuations,
    log,
    now,
  });
  const freezer = tasks && life.use(new Freezer({ records: new FreezeRecords(database), tasks, log }));
  const settler = new Settler({
    backups: records,
    phases,
    log,
    now,
    onSettled: () => queue.pokeSoon(),
  });
  const restarts: Restarts = new Restarts({
    policy: config["default-policy"],
    onRestart: config["on-restart"],
    registry,
    backups: records,
    bindings,
    pods,
    staging,
    settler,
    tasks,
  });
  const squasher = new Squasher({ layers, worker, depth: config["squash-depth"], log });
  const archiver = new Archiver({
    backups: records,
    staging,
    worker,
    squasher,
    phases,
    level: config["compression-level"],
    exclude: config.exclude,
    log,
    onPacked: (facts) => metrics.packed(facts),
  });
  const bandwidth = config["upload-bandwidth"];
  const uploader = new Uploader({
    backups: records,
    staging,
    store,
    archiver,
    phases,
    registry,
    verification: config.verification,
    pace: bandwidth === undefined ? undefined : new TokenBucket(bandwidth).take,
    node: hostname(),
    log,
    now,
    onUploaded: (bytes) => metrics.uploaded(bytes),
  });
  const queue: PackQueue = life.use(
    new PackQueue({
      backups: records,
      staging,
      archiver,
      uploader,
      discarder: new Discarder({ backups: records, staging, store, worker, log }),
      worker,
      restarts,
      phases,
      limits: { pack: config.concurrency, upload: config["upload-concurrency"], discard: discards },
      log,
      now,
      onChange: (id) => backups.changed(id),
    }),
  );
  backups.follow(queue);
  bindings.onRelease(() => {
    queue.pokeSoon();
    holder.pokeSoon();
  });
  const capturer = new Capturer({
    policy: config["default-policy"],
    stagingLimit: config["staging-limit"],
    registry,
    backups: records,
    bindings,
    pods,
    restarts,
    staging,
    phases,
    log,
    now,
    onStaged: () => queue.pokeSoon(),
  });
  const live = life.use(
    new LiveCapturer({
      registry,
      backend,
      backups: records,
      bindings,
      pods,
      staging,
      worker,
      tasks,
      freezer,
      phases,
      concurrency: config.concurrency,
      level: config["compression-level"],
      exclude: config.exclude,
      assertRoom: (key) => capturer.assertRoom(key),
      log,
      now,
      onStaged: () => queue.poke(),
    }),
  );
  backups.captureWith(live);
  const exits =
    registry &&
    backend &&
    life.use(
      new ExitCapturer({
        policy: config["default-policy"],
        onExit: config["on-exit"],
        registry,
        backend,
        backups: records,
        bindings,
        pods,
        settler,
        tasks,
        assertRoom: (key) => capturer.assertRoom(key),
        log,
      }),
    );
  context.provide(policyLabels, {
    decided: (uid, labels) => pods.decided(uid, labels),
    of: (uid) => pods.policyOf(uid),
  });
  context.provide(podEnds, {
    note: async (uid, reason) => {
      await pods.ends(uid, reason);
      await records.evicted(uid);
    },
  });
  const choices = new Choices({
    records: new ChoiceRecords(database),
    bindings,
    registry,
    prefetch: (id) => backups.unpackAhead(id),
    onGateFailure: (error) =>
      log.warn({ error: errorMessage(error) }, "container starts without what the cluster says of it"),
  });
  await choices.reconcile();
  context.provide(starts, choices);
  if (config.schedule !== undefined) await parseSchedule(config.schedule);
  const restorer = new Restorer({
    registry,
    restores,
    bindings,
    layers,
    restarts,
    documentOf: (id, signal) => backups.documentOf(id, signal),
    hasBackup: (id, tenant, signal) => store.hasBackup(id, tenant, signal),
    holder,
    continuations,
    choices,
    onDamage: config["on-damage"],
    onFallback: () => metrics.fallback(),
    imageChange: new ImageChange({ worker, otherwise: config["on-image-change"], log }),
    pods,
    log,
    now,
  });
  const strangers = await reconcile({ backups: records, staging, capturer, log });
  life.use(context.snapshotHooks.register(captureHook({ capturer, bindings, restarts, metrics, log })));
  life.use(context.snapshotHooks.register(restoreHook({ restorer, bindings, metrics })));
  context.provide(backupService, backups);
  const { backupContainerService } = await import("./container-service.ts");
  context.containerServices.register(backupContainerService(backups));
  watchHealth(context, { records, staging, strangers, limit: config["staging-limit"] });
  if (freezer !== undefined) context.health("freezer", () => freezer.health());
  life.every(metricsIntervalMs, () => metrics.queue(records, now()));
  life.every(sweepIntervalMs, () => {
    backups.sweepLayers(layerGraceMs).catch((error: unknown) => {
      log.warn({ error: errorMessage(error) }, "unused layers not removed");
    });
  });
  const housekeeping = life.use(
    new Housekeeping({
      store,
      records,
      rules: retentionRules(config.retention),
      intervalMs: config.retention.interval,
      graceMs: config.retention.grace,
      log,
      onForgotten: (id) => backups.changed(id),
    }),
  );
  life.every(housekeepingIntervalMs, () => housekeeping.start());
  await startScrubber({ context, life, store, worker, metrics });
  life.use(
    new Scheduler({
      registry,
      pods,
      schedule: config.schedule,
      kept: (entry, signal) => keptContainer(keptParts, entry, signal),
      create: (request, call) => backups.create(request, call),
      log,
    }),
  );
  queue.poke();
  holder.poke();
  return life.keep();
}

function assertRoot(root: string): void {
  if (root.includes(","))
    throw errors.BACKUP_ROOT_INVALID(`${root} holds a comma, which overlay mount options cannot express`);
}

/** One name for the one agent that may run on this root of this host. */
const writerName = (root: string): string =>
  createHash("sha256").update(`${hostname()}\0${root}`).digest("hex").slice(0, 16);
