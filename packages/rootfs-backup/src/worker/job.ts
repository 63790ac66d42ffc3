import * as v from "valibot";
import { idMapsSchema } from "../store/backup-document.ts";

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const folders = v.pipe(v.array(v.string()), v.readonly());
const overlay = v.picklist(["trusted", "user"]);
const descriptor = v.object({ mediaType: v.string(), digest: v.string(), size: count });
const key = v.object({ id: v.string(), secret: v.string() });
const cipher = v.object({ algorithm: v.literal("AES-256-GCM"), keyId: v.string(), wrappedKey: v.string() });
const verifiable = {
  digest: v.string(),
  size: count,
  diffId: v.string(),
  rawSize: count,
  entries: count,
  cipher: v.optional(cipher),
};
const layer = v.object({ ...verifiable, index: descriptor, toc: descriptor });
const report = v.object({
  counts: v.record(v.string(), count),
  deviations: v.array(
    v.object({
      kind: v.picklist(["skipped", "dropped", "torn", "excluded"]),
      path: v.string(),
      reason: v.string(),
    }),
  ),
  deviationCount: count,
  torn: count,
  retried: count,
});

/** What a worker process is asked to do: one job per process, as JSON on its standard input. */
export const jobSchema = v.variant("job", [
  v.object({
    job: v.literal("pack"),
    source: v.string(),
    target: v.string(),
    overlay,
    idMaps: v.optional(idMapsSchema),
    lowers: v.optional(folders),
    level: count,
    /** Whether to tell how far it is. */
    progress: v.optional(v.boolean()),
    exclude: v.optional(v.pipe(v.array(v.string()), v.readonly())),
    mounts: v.optional(v.pipe(v.array(v.string()), v.readonly())),
    devices: v.optional(v.picklist(["all", "harmless"])),
    key: v.optional(key),
  }),
  v.object({
    job: v.literal("unpack"),
    source: v.string(),
    target: v.string(),
    overlay,
    keys: v.optional(v.pipe(v.array(key), v.readonly())),
    layer: v.object(verifiable),
  }),
  v.object({
    job: v.literal("conflicts"),
    layers: folders,
    overlay,
    before: folders,
    after: folders,
  }),
  v.object({ job: v.literal("image"), source: v.string(), target: v.string(), program: v.string() }),
  v.object({ job: v.literal("remove"), path: v.string() }),
  v.object({
    job: v.literal("verify"),
    /** The table of the store's configuration, as JSON. */
    store: v.string(),
    tenant: v.string(),
    layer,
    keys: v.optional(v.pipe(v.array(key), v.readonly())),
    /** Bytes per second to read at most. */
    rate: count,
  }),
  v.object({ job: v.literal("measure"), path: v.string() }),
  v.object({
    job: v.literal("weigh"),
    source: v.string(),
    overlay,
    idMaps: v.optional(idMapsSchema),
    lowers: v.optional(folders),
  }),
]);
export type Job = v.InferOutput<typeof jobSchema>;

/** How far a job is, on lines before its result. */
export const progressSchema = v.object({ progress: v.object({ bytes: count }) });

/** What each job gives, as JSON on standard output. */
export const results = {
  pack: v.object({ layer, report }),
  unpack: v.object({}),
  remove: v.object({}),
  verify: v.object({ bytes: count }),
  measure: v.object({ bytes: count }),
  weigh: v.object({ bytes: count }),
  image: v.object({ bytes: count }),
  conflicts: v.object({ paths: v.array(v.string()), count }),
} as const;
/** A packed layer and what packing it had to say. */
export type Packed = v.InferOutput<typeof results.pack>;

/** A failed job, on standard output; `status` is a gRPC status number. */
export const failureSchema = v.object({
  error: v.object({ status: count, reason: v.string(), message: v.string() }),
});
