import type { OpenedStore } from "@aeon/rootfs-backup/inspect";
import { Option, type Command } from "commander";
import { askAgent } from "./cli.ts";
import { errors } from "./errors.ts";

/** Options of commands that can look into a store themselves. */
interface StoreOptions {
  readonly store?: string;
  readonly config?: string;
  readonly keyFile?: string;
}

/** Adds the options that name a store; without them the agent says where its store is. */
export const addStoreOptions = (command: Command): Command =>
  command
    .option(
      "-S, --store <store>",
      "look into this store without an agent: a folder, or s3://bucket/prefix?endpoint=…",
    )
    .addOption(
      new Option(
        "--config <file>",
        "look into the store of this agent's configuration without the agent",
      ).conflicts("store"),
    )
    .option("-k, --key-file <file>", "keys of encrypted backups (default: the file of the configuration)");

/** True when the command line names a store, so that no agent is needed. */
export const hasStore = (command: Command): boolean => {
  const { store, config } = command.opts<StoreOptions>();
  return store !== undefined || config !== undefined;
};

/**
 * Runs the work on the store that the command line names, or on the agent's. An interrupt ends the work in order,
 * so that nothing half-done stays. Throws what the work throws, `STORE_ADDRESS_INVALID`, or why the agent does not
 * answer.
 */
export async function withStore<T>(
  command: Command,
  work: (opened: OpenedStore, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  const interrupt = (): void => stop.abort(errors.INTERRUPTED("interrupted; nothing half-done is left"));
  process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
  try {
    await using opened = await open(command);
    return await work(opened, stop.signal);
  } catch (error) {
    throw stop.signal.aborted ? stop.signal.reason : error;
  } finally {
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
  }
}

/** Loaded on demand: other commands start without it. */
async function open(command: Command): Promise<OpenedStore> {
  const { openStore } = await import("@aeon/rootfs-backup/inspect");
  const { store, config, keyFile } = command.opts<StoreOptions>();
  if (store !== undefined) return openStore({ location: store, keyFile });
  if (config !== undefined) return openStore({ configFile: config, keyFile });
  const known = await askAgent(command, (agent) => agent.getBackupStore({}));
  const { retention } = known;
  return openStore({ table: known.table, retention, keyFile: keyFile ?? (known.keyFile || undefined) });
}
