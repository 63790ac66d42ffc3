import { join } from "node:path";
import type { Logger } from "@aeon/core";
import type { BackupConfig } from "../config.ts";
import { lazyObjects } from "./lazy-objects.ts";
import type { ObjectStore } from "./object-store.ts";
import { posixObjects } from "./posix/posix-objects.ts";

export interface OpenObjectsOptions {
  readonly config: BackupConfig["store"];
  /** The plugin's own folder, which holds the default store, and files on their way to a remote one. */
  readonly root: string;
  /** A name that no other user of the store has, the same after a restart. */
  readonly writer: string;
  readonly log: Logger;
  /** Where files on their way to a remote store lie; below the root when absent. */
  readonly spool?: string;
}

const folderOf = (path: string | undefined, root: string): string => path ?? join(root, "store");

/** The table of a configuration with what it leaves to the plugin's own folder, for other programs. */
export const storeTable = (config: BackupConfig["store"], root: string): Readonly<Record<string, unknown>> =>
  config.type === "posix" ? { ...config, path: folderOf(config.path, root) } : config;

/** The store of a configuration; nothing is asked of it yet. */
export function openObjects({ config, root, writer, log, spool }: OpenObjectsOptions): ObjectStore {
  if (config.type === "posix") return posixObjects({ path: folderOf(config.path, root), writer });
  const location = `s3://${config.bucket}${config.prefix === "" ? "" : `/${config.prefix}`}`;
  return lazyObjects(location, async () => {
    // Takes 15 MB that an agent with another store does without.
    const { openS3 } = await import("./s3/open-s3.ts");
    return openS3({
      config,
      spool: spool ?? join(root, "spool", writer),
      // oxlint-disable-next-line node/no-process-env -- the edge where credentials come in
      environment: process.env,
      log,
    });
  });
}
