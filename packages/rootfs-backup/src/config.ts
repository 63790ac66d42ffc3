import { absolutePath, byteSize, duration } from "@aeon/core";
import * as v from "valibot";
import { s3Config } from "./objects/s3/s3-config.ts";
import { isExclusion } from "./archive/exclusions.ts";

const whole = (least: number, most: number) =>
  v.pipe(v.number(), v.integer(), v.minValue(least), v.maxValue(most));

const posixStoreConfig = v.strictObject({
  type: v.optional(
    v.pipe(v.literal("posix"), v.description("kind of store: a folder (posix) or a bucket (s3)")),
    "posix",
  ),
  path: v.optional(
    v.pipe(absolutePath(), v.description("folder of the store; below the plugin's own folder if absent")),
  ),
});
/** Without it, it keeps nothing and removes nothing. */
const rule = <Schema extends v.GenericSchema>(schema: Schema, description: string) =>
  v.optional(v.pipe(schema, v.description(description)));

/** Bytes per second; all parts in flight have to end in the time limit of a request. */
const leastBandwidth = 262_144;

/** The table `[backup]` of the configuration file. */
export const backupConfig = v.strictObject({
  "staging-limit": v.optional(
    v.pipe(
      byteSize(),
      v.description(
        "captured layers may take this much before removals of further kept snapshots are refused",
      ),
    ),
    "20GiB",
  ),
  staging: v.optional(
    v.pipe(
      absolutePath(),
      v.description(
        "where captured layers wait, on the file system of the snapshots; the plugin's own folder if absent",
      ),
    ),
  ),
  "default-policy": v.optional(
    v.pipe(
      v.picklist(["label", "all", "none"]),
      v.description(
        "which containers are kept when no label says otherwise: none but those labelled, all, or none at all",
      ),
    ),
    "label",
  ),
  "on-restart": v.optional(
    v.pipe(
      v.picklist(["keep", "fresh"]),
      v.description(
        "what a kept container gets that is restarted in its pod, when no label says otherwise: its predecessor's files, or none",
      ),
    ),
    "keep",
  ),
  "on-exit": v.optional(
    v.pipe(
      v.picklist(["capture", "wait"]),
      v.description(
        "when the files of a kept container of a pod are packed whose task has ended, when no label says otherwise: at once where they lie, or when the container is removed",
      ),
    ),
    "capture",
  ),
  schedule: v.optional(
    v.pipe(
      v.string(),
      v.description(
        'when kept containers are backed up while they run, unless a label says otherwise: a time span such as "6h" or a cron expression such as "0 3 * * *"; never if absent',
      ),
    ),
  ),
  concurrency: v.optional(v.pipe(whole(1, 16), v.description("layers packed at the same time, 1 to 16")), 1),
  "upload-concurrency": v.optional(
    v.pipe(whole(1, 16), v.description("packed layers brought to the store at the same time, 1 to 16")),
    2,
  ),
  "upload-bandwidth": v.optional(
    v.pipe(
      byteSize(),
      v.check((bytes) => bytes >= leastBandwidth, "Expected 256KiB or more"),
      v.description(
        "bytes per second that all uploads together send to the store at most, such as 20MiB; as fast as it goes if absent",
      ),
    ),
  ),
  verification: v.optional(
    v.pipe(
      v.picklist(["size", "content"]),
      v.description(
        "what is looked at before an uploaded backup counts as stored: that the store has its blobs in their sizes, or their content too, which reads them back",
      ),
    ),
    "size",
  ),
  "compression-level": v.optional(
    v.pipe(whole(1, 19), v.description("zstd level of packed layers, 1 to 19")),
    3,
  ),
  encryption: v.optional(
    v.strictObject({
      "key-file": v.optional(
        v.pipe(
          absolutePath(),
          v.description(
            "keys that layers are encrypted with on this host: 32 raw bytes, or lines of base64 of which the first encrypts; nothing is encrypted if absent",
          ),
        ),
      ),
    }),
    {},
  ),
  exclude: v.optional(
    v.pipe(
      v.array(v.pipe(v.string(), v.check(isExclusion, "must be an absolute path below the root"))),
      v.description(
        "paths in containers that no backup holds, with `*`, `?`, `[a-z]`, and `**` for any number of folders; a folder takes all below it along",
      ),
    ),
    [],
  ),
  "restore-unavailable": v.optional(
    v.pipe(
      v.picklist(["wait", "fresh"]),
      v.description(
        "what a kept container gets while the store cannot be asked whether its workload has files: it does not start, or starts clean",
      ),
    ),
    "wait",
  ),
  "on-damage": v.optional(
    v.pipe(
      v.picklist(["refuse", "previous"]),
      v.description(
        "when the backup that a workload's container continues turns out to be damaged: it does not start, or starts with the newest older backup that is whole, which is logged and counted",
      ),
    ),
    "refuse",
  ),
  "restore-form": v.optional(
    v.pipe(
      v.picklist(["extracted", "erofs"]),
      v.description(
        "how restored layers are kept: as folders, or as EROFS images where kernel and mkfs.erofs are there",
      ),
    ),
    "extracted",
  ),
  "mkfs-erofs": v.optional(
    v.pipe(
      v.string(),
      v.nonEmpty(),
      v.description("the program that makes EROFS images, by path or by name"),
    ),
    "mkfs.erofs",
  ),
  "on-image-change": v.optional(
    v.pipe(
      v.picklist(["auto", "strict", "rebase", "fresh"]),
      v.description(
        "when a container's image is not the one its backup was made on: refuse to start (strict), put the files on the new image (rebase), start clean (fresh), or rebase unless image and container changed the same files (auto)",
      ),
    ),
    "auto",
  ),
  "squash-depth": v.optional(
    v.pipe(
      whole(1, 100),
      v.description(
        "layers that a chain of backups may have before the next backup makes them one, 1 to 100",
      ),
    ),
    8,
  ),
  retention: v.optional(
    v.strictObject({
      "keep-last": rule(whole(0, 100_000), "backups of a chain that stay: the last ones"),
      "keep-hourly": rule(whole(0, 100_000), "the newest backup of each of so many hours stays"),
      "keep-daily": rule(whole(0, 100_000), "the newest backup of each of so many days (UTC) stays"),
      "keep-weekly": rule(whole(0, 100_000), "the newest backup of each of so many weeks stays"),
      "max-age": rule(duration(), "older backups go, except the newest of a chain and pinned ones"),
      "max-bytes": rule(byteSize(), "the oldest backups of a chain go until the others need no more"),
      grace: v.optional(
        v.pipe(duration(), v.description("how long the data of removed backups stays in the store")),
        "24h",
      ),
      hold: v.optional(
        v.pipe(
          duration(),
          v.description(
            "how long a node that is not heard of keeps the backups that its containers run on from being removed",
          ),
        ),
        "7d",
      ),
      interval: v.optional(
        v.pipe(
          duration(),
          v.description(
            "how often backups are removed by these rules and their data is swept from the store",
          ),
        ),
        "6h",
      ),
    }),
    {},
  ),
  scrub: v.optional(
    v.strictObject({
      interval: v.optional(
        v.pipe(
          duration(),
          v.description(
            "how often everything in the store is read again and compared, by one of the nodes that use it, such as 30d; damage is logged, counted and shown as the health of the store; never if absent",
          ),
        ),
      ),
      bandwidth: v.optional(
        v.pipe(
          byteSize(),
          v.check((bytes) => bytes >= leastBandwidth, "Expected 256KiB or more"),
          v.description("bytes per second that are read for this at most"),
        ),
        "16MiB",
      ),
    }),
    {},
  ),
  store: v.optional(v.variant("type", [posixStoreConfig, s3Config]), { type: "posix" }),
});

export type BackupConfig = v.InferOutput<typeof backupConfig>;
