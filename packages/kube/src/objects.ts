import * as v from "valibot";

const texts = v.record(v.string(), v.string());

/** What aeon keeps of every object's metadata; the rest, managed fields above all, is dropped when it is read. */
export const metadataSchema = v.object({
  name: v.string(),
  namespace: v.optional(v.string()),
  uid: v.string(),
  resourceVersion: v.string(),
  generation: v.optional(v.number()),
  labels: v.optional(texts),
  annotations: v.optional(texts),
  creationTimestamp: v.optional(v.string()),
  deletionTimestamp: v.optional(v.string()),
  finalizers: v.optional(v.array(v.string())),
  ownerReferences: v.optional(
    v.array(
      v.object({
        apiVersion: v.string(),
        kind: v.string(),
        name: v.string(),
        uid: v.string(),
        controller: v.optional(v.boolean()),
      }),
    ),
  ),
});

/** The metadata of an object. */
export type Metadata = v.InferOutput<typeof metadataSchema>;

/** Anything that the API server keeps. */
export interface KubeObject {
  readonly metadata: Metadata;
}

/** Turns what the API server sent into an object; throws when it is none. Drops what nobody needs. */
export type ParseObject<T> = (value: unknown) => T;

/** Makes a {@link ParseObject} of a schema. */
export const parserOf =
  <Schema extends v.GenericSchema>(schema: Schema): ParseObject<v.InferOutput<Schema>> =>
  (value) =>
    v.parse(schema, value);

/** Keeps the metadata alone. */
export const parseAny: ParseObject<KubeObject> = parserOf(v.object({ metadata: metadataSchema }));

/** Names an object in events and owner references. */
export interface ObjectReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}
