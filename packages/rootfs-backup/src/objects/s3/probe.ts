import { randomUUID } from "node:crypto";
import { isAeonError } from "@aeon/core";
import { listPage } from "./listing.ts";
import type { S3Client } from "./s3-client.ts";
import { headObject, putIf, removeObject } from "./small-objects.ts";

/** How a store wants the tag in `If-Match`: in quotes as HTTP has it, or bare; or that it decides nothing. */
export type ConditionForm = "quoted" | "bare" | "none";

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
  const put = (text: string, condition: Readonly<Record<string, string>>): Promise<boolean> =>
    putIf(client, key, Buffer.from(text), condition, signal);
  const isFirst = await put("1", { "if-none-match": "*" });
  const isSecond = await put("2", { "if-none-match": "*" });
  if (!isFirst || isSecond) return "none";
  for (const form of ["quoted", "bare"] as const) {
    const version = (await headObject(client, key, signal))?.version ?? "";
    if (await put(form, ifMatch("00000000000000000000000000000000", form))) return "none";
    if (await put(form, ifMatch(version, form))) return form;
  }
  return "none";
}

export const ifMatch = (version: string, form: ConditionForm): Readonly<Record<string, string>> => ({
  "if-match": form === "bare" ? version : `"${version}"`,
});

const isUnsupported = (error: unknown): boolean =>
  isAeonError(error, "STORE_UNUSABLE") &&
  ["NotImplemented", "MethodNotAllowed", "InvalidArgument", "InvalidRequest"].includes(
    String(error.details["code"]),
  );
