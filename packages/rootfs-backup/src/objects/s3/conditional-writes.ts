import { randomBytes } from "node:crypto";
import { payloadOf, type S3Answer, type S3Client } from "./s3-client.ts";
import { head, headOf, putWith } from "./small-objects.ts";

/**
 * Names of the last writes of an object, the newest first. An answer that is lost leaves open whether the write was
 * done; its name then tells, also when others have written since.
 */
const writesHeader = "x-amz-meta-aeon-writes";
const mostWrites = 32;

const writesOf = ({ headers }: S3Answer): readonly string[] => {
  const value = headers[writesHeader];
  return typeof value === "string" ? value.split(",") : [];
};

/** How a store wants the tag in `If-Match`: in quotes as HTTP has it, or bare; or that it decides nothing. */
export type ConditionForm = "quoted" | "bare" | "none";

/** Puts an object unless there is one; false then. Without conditions it looks first and puts then. */
export async function createObject(
  client: S3Client,
  key: string,
  bytes: Buffer,
  form: ConditionForm,
  signal: AbortSignal,
): Promise<boolean> {
  if (form === "none" && (await head(client, key, signal, headOf)) !== undefined) return false;
  return put(client, key, bytes, form === "none" ? {} : { "if-none-match": "*" }, [], signal);
}

/** Replaces an object that is still of a version; false when it is not. */
export async function replaceObject(
  client: S3Client,
  key: string,
  bytes: Buffer,
  expected: string,
  form: ConditionForm,
  signal: AbortSignal,
): Promise<boolean> {
  const present = await head(client, key, signal, (answer) => ({
    version: headOf(answer)?.version,
    writes: writesOf(answer),
  }));
  if (present.version !== expected) return false;
  return put(client, key, bytes, form === "none" ? {} : ifMatch(expected, form), present.writes, signal);
}

export const ifMatch = (version: string, form: ConditionForm): Readonly<Record<string, string>> => ({
  "if-match": form === "bare" ? version : `"${version}"`,
});

async function put(
  client: S3Client,
  key: string,
  bytes: Buffer,
  condition: Readonly<Record<string, string>>,
  earlier: readonly string[],
  signal: AbortSignal,
): Promise<boolean> {
  const write = randomBytes(6).toString("base64url");
  const headers = { ...condition, [writesHeader]: [write, ...earlier].slice(0, mostWrites).join(",") };
  const { status, repeated } = await putWith(client, key, payloadOf(bytes), headers, signal);
  if (status === 200) return true;
  // An earlier attempt may have won, of which the answer was lost.
  return repeated && head(client, key, signal, (answer) => writesOf(answer).includes(write));
}
