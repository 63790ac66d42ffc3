import { randomUUID } from "node:crypto";
import { isAeonError } from "@aeon/core";
import { createObject, ifMatch, replaceObject, type ConditionForm } from "./conditional-writes.ts";
import { listPage } from "./listing.ts";
import { payloadOf, type S3Client } from "./s3-client.ts";
import { headObject, putWith, removeObject } from "./small-objects.ts";

/**
 * Tries out with an object of its own whether bucket and rights are there, and whether the store decides conditional
 * writes. Some accept the conditions and ignore them, some compare tags with the quotes around them.
 */
export async function probe(client: S3Client, prefix: string, signal: AbortSignal): Promise<ConditionForm> {
  await listPage(client, prefix, "/", undefined, signal);
  const key = `${prefix}.aeon-probe/${randomUUID()}`;
  try {
    return await conditionForm(client, key, signal);
  } catch (error) {
    if (isUnsupported(error)) return "none";
    throw error;
  } finally {
    await removeObject(client, key, signal);
  }
}

async function conditionForm(client: S3Client, key: string, signal: AbortSignal): Promise<ConditionForm> {
  const create = (): Promise<boolean> => createObject(client, key, Buffer.from("1"), "quoted", signal);
  if (!(await create()) || (await create())) return "none";
  for (const form of ["quoted", "bare"] as const) {
    const bytes = Buffer.from(form);
    const stale = ifMatch("00000000000000000000000000000000", form);
    if ((await putWith(client, key, payloadOf(bytes), stale, signal)).status === 200) return "none";
    const version = (await headObject(client, key, signal))?.version ?? "";
    if (await replaceObject(client, key, bytes, version, form, signal)) return form;
  }
  return "none";
}

const isUnsupported = (error: unknown): boolean =>
  isAeonError(error, "STORE_UNUSABLE") &&
  ["NotImplemented", "MethodNotAllowed", "InvalidArgument", "InvalidRequest"].includes(
    String(error.details["code"]),
  );
