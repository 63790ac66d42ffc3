import { errorMessage } from "@aeon/core";
import * as v from "valibot";
import { errors } from "../errors.ts";
import type { ObjectKey, ObjectStore } from "../objects/object-store.ts";

/** Most bytes that a JSON object of the store may have; what is larger is not read. */
export const jsonLimits = { name: 4 << 20, manifest: 4 << 20, config: 32 << 20 } as const;

/** Reads at most one byte more than allowed. Rejects with `BACKUP_DAMAGED` when there is more than allowed. */
export async function readSmall(
  objects: ObjectStore,
  key: ObjectKey,
  limit: number,
  signal: AbortSignal,
): Promise<{ readonly bytes: Buffer; readonly version: string } | undefined> {
  const found = await objects.read(key, { signal, range: { offset: 0, length: limit + 1 } });
  if (found !== undefined && found.bytes.length > limit)
    throw errors.BACKUP_DAMAGED(`${key} in ${objects.location} is larger than ${limit} bytes`, {
      details: { key, limit },
    });
  return found;
}

/** Throws `BACKUP_DAMAGED` unless the bytes are JSON of the schema. */
export function parseJson<Schema extends v.GenericSchema>(
  schema: Schema,
  bytes: Buffer,
  name: string,
): v.InferOutput<Schema> {
  try {
    return v.parse(schema, JSON.parse(bytes.toString()));
  } catch (error) {
    throw errors.BACKUP_DAMAGED(`${name} is not what aeon writes: ${whatIsWrong(error)}`, {
      cause: error,
      details: { name },
    });
  }
}

/** Undefined unless the bytes are JSON of the schema. */
export function parseLoose<Schema extends v.GenericSchema>(
  schema: Schema,
  bytes: Buffer,
): v.InferOutput<Schema> | undefined {
  try {
    const found = v.safeParse(schema, JSON.parse(bytes.toString()));
    return found.success ? found.output : undefined;
  } catch {
    return undefined;
  }
}

/** The first thing that is wrong, with its place in the document. */
function whatIsWrong(error: unknown): string {
  if (!v.isValiError(error)) return errorMessage(error);
  const [issue] = error.issues;
  const place = v.getDotPath(issue);
  if (place === null) return issue.message;
  return issue.received === "undefined" ? `${place} is missing` : `${place}: ${issue.message}`;
}

/** Reads and checks a JSON object; undefined when there is none. Rejects with `BACKUP_DAMAGED`. */
export async function readJson<Schema extends v.GenericSchema>(
  objects: ObjectStore,
  key: ObjectKey,
  schema: Schema,
  signal: AbortSignal,
): Promise<{ readonly value: v.InferOutput<Schema>; readonly version: string } | undefined> {
  const found = await readSmall(objects, key, jsonLimits.name, signal);
  return found && { value: parseJson(schema, found.bytes, key), version: found.version };
}

export const encodeJson = (value: unknown): Buffer => Buffer.from(`${JSON.stringify(value)}\n`);
