import { snapshotKey, type Labels, type SnapshotKey } from "@aeon/core";
import { errors } from "../errors.ts";

/** Bytes of UTF-8 in a name; containerd's own are below 300. */
const maxNameBytes = 4096;
/** containerd allows 4096 bytes for a label's key and value together. */
const maxLabelBytes = 4096;
const maxLabels = 1024;

/** Reads a required name. Throws `SNAPSHOT_REQUEST_INVALID`. */
export function requiredName(value: string, field: string): SnapshotKey {
  if (value === "") throw errors.SNAPSHOT_REQUEST_INVALID(`${field} is empty`);
  if (value.length > maxNameBytes || Buffer.byteLength(value) > maxNameBytes)
    throw errors.SNAPSHOT_REQUEST_INVALID(`${field} is longer than ${maxNameBytes} bytes`);
  if (value.includes("\0")) throw errors.SNAPSHOT_REQUEST_INVALID(`${field} has a NUL character`);
  return snapshotKey(value);
}

/** Reads an optional parent; an empty one is none. */
export function optionalParent(value: string): { readonly parent?: SnapshotKey } {
  return value === "" ? {} : { parent: requiredName(value, "parent") };
}

/** Checks labels against containerd's own limits. */
export function checkedLabels(labels: Labels): Labels {
  const entries = Object.entries(labels);
  if (entries.length > maxLabels)
    throw errors.SNAPSHOT_REQUEST_INVALID(`there are more than ${maxLabels} labels`);
  for (const [key, value] of entries) {
    if (key === "") throw errors.SNAPSHOT_REQUEST_INVALID("a label has an empty key");
    if (Buffer.byteLength(key) + Buffer.byteLength(value) > maxLabelBytes)
      throw errors.SNAPSHOT_REQUEST_INVALID(
        `label ${key.slice(0, 64)} is longer than ${maxLabelBytes} bytes`,
      );
    if (key.includes("\0") || value.includes("\0"))
      throw errors.SNAPSHOT_REQUEST_INVALID(`label ${JSON.stringify(key.slice(0, 64))} has a NUL character`);
  }
  return labels;
}
