import { readFile, stat } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { peekConfig, silentLogger } from "@aeon/core";
import * as v from "valibot";
import { parseKeyFile, type EncryptionKey } from "../archive/encryption-key.ts";
import { backupConfig } from "../config.ts";
import { errors } from "../errors.ts";
import { openObjects } from "../objects/open-objects.ts";
import { posixObjects } from "../objects/posix/posix-objects.ts";
import { present } from "../present.ts";
import type { BackupStore } from "../store/backup-store.ts";
import type { RetentionRules } from "../store/retention.ts";
import { retentionRules } from "../store/retention-rules.ts";
import { backupStore } from "../store/object-backup-store.ts";
import { tableOfLocation } from "./store-location.ts";

/** Which store to open: as a person writes it, an agent's configuration file, or the agent's table as JSON. */
export type StoreAddress = {
  /** Keys of encrypted layers; that of the configuration when absent. */
  readonly keyFile?: string | undefined;
} & (
  | { readonly location: string }
  | { readonly configFile: string }
  | { readonly table: string; readonly retention?: string }
);

/** A store and what it takes to read what is in it. */
export interface OpenedStore extends AsyncDisposable {
  readonly store: BackupStore;
  readonly keys: readonly EncryptionKey[];
  /** What agents remove by themselves, as far as what named the store says so. */
  readonly retention: RetentionRules | undefined;
}

/** Where an agent keeps its state when its configuration does not say. */
const defaultRoot = "/var/lib/aeon";

/**
 * Opens an existing store without an agent. Rejects with `STORE_ADDRESS_INVALID` when it does not say which, with
 * `STORE_NOT_FOUND` when there is none, with `ENCRYPTION_KEY_INVALID`, and as loading a configuration does.
 */
export async function openStore(address: StoreAddress): Promise<OpenedStore> {
  const { store: opening, keyFile, retention } = resolveAddress(address);
  const keys = keyFile === undefined ? [] : parseKeyFile(await readFile(keyFile), keyFile);
  const store = await opening();
  return { store, keys, retention, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
}

interface ResolvedAddress {
  readonly store: () => Promise<BackupStore>;
  readonly keyFile: string | undefined;
  readonly retention?: RetentionRules | undefined;
}

function resolveAddress(address: StoreAddress): ResolvedAddress {
  const { keyFile } = address;
  if ("location" in address)
    return { store: () => openTable(parseTable(tableOfLocation(address.location)), defaultRoot), keyFile };
  if ("table" in address)
    return {
      store: () => openTable(parseTable(JSON.parse(address.table)), defaultRoot),
      keyFile,
      retention: parseRules(address.retention),
    };
  const { root = defaultRoot, backup = {} } = parseFile(peekConfig({ file: address.configFile }));
  return {
    store: () => openTable(parseTable(backup.store ?? {}), root),
    keyFile: keyFile ?? backup.encryption?.["key-file"],
    retention: retentionRules(parseRetention(backup.retention ?? {})),
  };
}

type StoreTable = v.InferOutput<typeof backupConfig>["store"];

const fileSchema = v.looseObject({
  root: v.optional(v.string()),
  backup: v.optional(
    v.looseObject({
      store: v.optional(v.unknown()),
      retention: v.optional(v.unknown()),
      encryption: v.optional(v.looseObject({ "key-file": v.optional(v.string()) })),
    }),
  ),
});

function parseFile(table: unknown): v.InferOutput<typeof fileSchema> {
  const parsed = v.safeParse(fileSchema, table);
  if (parsed.success) return parsed.output;
  throw errors.STORE_ADDRESS_INVALID(`the configuration names no store: ${v.summarize(parsed.issues)}`);
}

const count = v.optional(v.number());
const rulesSchema = v.object({
  keepLast: count,
  keepHourly: count,
  keepDaily: count,
  keepWeekly: count,
  maxAgeMs: count,
  maxBytes: count,
});

/** What the agent says, as JSON; an older one says nothing. */
function parseRules(text: string | undefined): RetentionRules | undefined {
  if (text === undefined || text === "") return undefined;
  return present(v.parse(rulesSchema, JSON.parse(text)));
}

function parseRetention(table: unknown): v.InferOutput<typeof backupConfig>["retention"] {
  const parsed = v.safeParse(backupConfig.entries.retention, table);
  if (parsed.success) return parsed.output;
  throw errors.STORE_ADDRESS_INVALID(
    `the table backup.retention is not one that this version knows: ${v.summarize(parsed.issues)}`,
  );
}

function parseTable(table: unknown): StoreTable {
  const parsed = v.safeParse(backupConfig.entries.store, table);
  if (parsed.success) return parsed.output;
  throw errors.STORE_ADDRESS_INVALID(
    `the table backup.store is not one that this version knows: ${v.summarize(parsed.issues)}`,
  );
}

async function openTable(config: StoreTable, root: string): Promise<BackupStore> {
  const own = join(root, "backup");
  if (config.type === "posix") return openFolder(config.path ?? join(own, "store"));
  const writer = writerName();
  const spool = join(tmpdir(), `aeon-${writer}`);
  return backupStore({
    objects: openObjects({ config, root: own, writer, log: silentLogger, spool }),
    log: silentLogger,
  });
}

const writerName = (): string => `inspect-${hostname()}-${process.pid}`;

async function openFolder(path: string): Promise<BackupStore> {
  const isStore = await stat(join(path, "t")).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isStore)
    throw errors.STORE_NOT_FOUND(
      `${path} holds no backups; name the folder that backup.store.path names, which has a folder t in it`,
      { details: { path } },
    );
  return backupStore({ objects: posixObjects({ path, writer: writerName() }), log: silentLogger });
}
