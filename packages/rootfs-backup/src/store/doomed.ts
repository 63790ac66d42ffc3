import * as v from "valibot";
import type { ObjectFacts, ObjectStore } from "../objects/object-store.ts";
import { parseLoose } from "./json-objects.ts";

/** An object that a sweep would delete. */
export interface DoomedObject {
  /**
   * `manifest` and `config` describe a backup, `data` is layers and what belongs to them, `name` is the rest of a
   * removal that was cut off, `note` something that says no more, `unfinished` the rest of a write.
   */
  readonly kind: "manifest" | "config" | "data" | "name" | "note" | "unfinished";
  /** Below the store's location. */
  readonly key: string;
  /** Bytes, as far as they are known. */
  readonly size?: number;
  /** The backup that it describes, or names. */
  readonly backup?: string;
}

/** What is larger describes no backup that can be read. */
const largestDocument = 1 << 20;
const brace = 0x7b;

const manifest = v.object({
  mediaType: v.literal("application/vnd.oci.image.manifest.v1+json"),
  annotations: v.object({ "io.aeon.backup": v.string() }),
});
const config = v.object({ "io.aeon.backup": v.object({ id: v.string() }) });

/** Says what an unnamed blob is, which only its content tells. */
export async function describeBlob(
  objects: ObjectStore,
  { key, size }: Pick<ObjectFacts, "key" | "size">,
  signal: AbortSignal,
): Promise<DoomedObject> {
  const data: DoomedObject = { kind: "data", key, size };
  if (size > largestDocument) return data;
  const bytes = (await objects.read(key, { signal }))?.bytes;
  if (bytes?.[0] !== brace) return data;
  const found = parseLoose(v.union([manifest, config]), bytes);
  if (found === undefined) return data;
  return "mediaType" in found
    ? { kind: "manifest", key, size, backup: found.annotations["io.aeon.backup"] }
    : { kind: "config", key, size, backup: found["io.aeon.backup"].id };
}
