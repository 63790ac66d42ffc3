import { absolutePath, byteSize } from "@aeon/core";
import * as v from "valibot";

/** The table `[backup]` of the configuration file. */
export const backupConfig = v.strictObject({
  /** Captured layers may take this much before removals of further kept snapshots are refused. */
  "staging-limit": v.optional(byteSize(), "20GiB"),
  /** Must be on the file system of the snapshots. Default: below the plugin's own folder. */
  staging: v.optional(absolutePath()),
  /** Which containers are kept: those that carry the label, all, or none. */
  "default-policy": v.optional(v.picklist(["label", "all", "none"]), "label"),
  /** Layers packed at the same time. */
  concurrency: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(16)), 1),
  /** zstd level. */
  "compression-level": v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(19)), 3),
  store: v.optional(
    v.strictObject({
      type: v.optional(v.literal("posix"), "posix"),
      /** Default: below the plugin's own folder. */
      path: v.optional(absolutePath()),
    }),
    {},
  ),
});

export type BackupConfig = v.InferOutput<typeof backupConfig>;
