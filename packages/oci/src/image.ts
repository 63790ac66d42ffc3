import * as v from "valibot";
import { isDigest, type Digest } from "./digest.ts";
import { errors } from "./errors.ts";

const digest = v.custom<Digest>((value) => typeof value === "string" && isDigest(value), "not a digest");
const size = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const texts = v.array(v.string());
const textMap = v.record(v.string(), v.string());

const platformSchema = v.looseObject({
  architecture: v.string(),
  os: v.string(),
  variant: v.optional(v.string()),
  "os.version": v.optional(v.string()),
});

const descriptorSchema = v.looseObject({
  mediaType: v.string(),
  digest,
  size,
  urls: v.optional(texts),
  annotations: v.optional(textMap),
  platform: v.optional(platformSchema),
  artifactType: v.optional(v.string()),
});

const indexSchema = v.looseObject({
  schemaVersion: v.literal(2),
  mediaType: v.optional(v.string()),
  manifests: v.array(descriptorSchema),
  annotations: v.optional(textMap),
});

const manifestSchema = v.looseObject({
  schemaVersion: v.literal(2),
  mediaType: v.optional(v.string()),
  artifactType: v.optional(v.string()),
  config: descriptorSchema,
  layers: v.array(descriptorSchema),
  annotations: v.optional(textMap),
});

const processSchema = v.looseObject({
  User: v.optional(v.string()),
  Env: v.nullish(texts),
  Entrypoint: v.nullish(texts),
  Cmd: v.nullish(texts),
  WorkingDir: v.optional(v.string()),
  Labels: v.nullish(textMap),
  StopSignal: v.optional(v.string()),
  Volumes: v.nullish(v.record(v.string(), v.unknown())),
  ExposedPorts: v.nullish(v.record(v.string(), v.unknown())),
});

const configSchema = v.looseObject({
  architecture: v.string(),
  os: v.string(),
  variant: v.optional(v.string()),
  created: v.optional(v.string()),
  author: v.optional(v.string()),
  config: v.optional(processSchema),
  rootfs: v.looseObject({ type: v.literal("layers"), diff_ids: v.array(digest) }),
  history: v.nullish(
    v.array(v.looseObject({ created_by: v.optional(v.string()), empty_layer: v.optional(v.boolean()) })),
  ),
});

/** What a piece of content is, where it is and how long (image-spec descriptor.md). Unknown fields are kept. */
export type Descriptor = v.InferOutput<typeof descriptorSchema>;
/** Operating system and architecture that an image is for. */
export type Platform = v.InferOutput<typeof platformSchema>;
/** A list of manifests, one for each platform or tag (image-spec image-index.md). */
export type ImageIndex = v.InferOutput<typeof indexSchema>;
/** One image: its config and its layers, lowest first (image-spec manifest.md). */
export type ImageManifest = v.InferOutput<typeof manifestSchema>;
/** Platform, layers' diff ids and default process of an image (image-spec config.md). */
export type ImageConfig = v.InferOutput<typeof configSchema>;
/** The `config` member of an image config: how its containers run unless told otherwise. */
export type ImageProcess = v.InferOutput<typeof processSchema>;

type JsonText = string | Uint8Array;

/** Reads an image index. Throws `DOCUMENT_MALFORMED` naming the first wrong member. */
export const parseIndex = (json: JsonText): ImageIndex => parse("image index", indexSchema, json);
/** Reads an image manifest. Throws `DOCUMENT_MALFORMED`. */
export const parseManifest = (json: JsonText): ImageManifest => parse("image manifest", manifestSchema, json);
/** Reads an image config. Throws `DOCUMENT_MALFORMED`. */
export const parseConfig = (json: JsonText): ImageConfig => parse("image config", configSchema, json);
/** Reads a descriptor. Throws `DOCUMENT_MALFORMED`. */
export const parseDescriptor = (json: JsonText): Descriptor => parse("descriptor", descriptorSchema, json);

/** Reads JSON from outside into the shape of a schema; `what` names it in errors. */
export function parse<const Schema extends v.GenericSchema>(
  what: string,
  schema: Schema,
  json: JsonText,
): v.InferOutput<Schema> {
  const result = v.safeParse(schema, readJson(what, json));
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw errors.DOCUMENT_MALFORMED(`${what}: ${v.getDotPath(issue) ?? "document"}: ${issue.message}`);
}

function readJson(what: string, json: JsonText): unknown {
  try {
    return JSON.parse(typeof json === "string" ? json : Buffer.from(json).toString("utf8"));
  } catch (error) {
    throw errors.DOCUMENT_MALFORMED(`${what} is not JSON`, { cause: error });
  }
}

/** This machine's architecture in OCI's words (those of Go), such as `amd64`. */
export const machineArchitecture = (arch: string = process.arch): string =>
  ({ x64: "amd64", ia32: "386" })[arch] ?? arch;
