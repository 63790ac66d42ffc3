import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { errorMessage, type Logger } from "@aeon/core";
import { errors } from "../../errors.ts";
import type { S3Credentials, S3CredentialSource } from "./s3-options.ts";

export interface CredentialOptions {
  /** JSON file, AWS credentials file, or folder with a file per value; the environment when absent. */
  readonly path?: string;
  /** Section of an AWS credentials file. */
  readonly profile: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly log: Logger;
}

/** Names of the values in files, folders and the environment, without case and punctuation. */
const names = {
  accessKey: ["awsaccesskeyid", "accesskeyid", "accesskey"],
  secretKey: ["awssecretaccesskey", "secretaccesskey", "secretkey"],
  sessionToken: ["awssessiontoken", "sessiontoken"],
} as const;

/**
 * Credentials from a file, a mounted Secret or the environment, read again when the file changes or the store refuses
 * them. While a changed file cannot be understood, the last good ones stay. Rejects with `STORE_CREDENTIALS_INVALID`,
 * which names the file and never a value.
 */
export const storeCredentials = (options: CredentialOptions): S3CredentialSource =>
  new FileCredentials(options);

class FileCredentials implements S3CredentialSource {
  readonly #options: CredentialOptions;
  #known: { readonly credentials: S3Credentials; readonly mark: string } | undefined;
  #complaint: string | undefined;

  constructor(options: CredentialOptions) {
    this.#options = options;
  }

  async current(renew = false): Promise<S3Credentials> {
    const { path, environment, log } = this.#options;
    if (path === undefined) return credentialsIn(environment, "the environment");
    try {
      const mark = await markOf(path);
      if (!renew && this.#known?.mark === mark) return this.#known.credentials;
      const credentials = credentialsIn(await this.#values(path), path);
      if (this.#known !== undefined && this.#known.mark !== mark)
        log.info({ file: path }, "credentials of the store read again");
      this.#known = { credentials, mark };
      this.#complaint = undefined;
      return credentials;
    } catch (error) {
      const message = errorMessage(error);
      if (this.#known === undefined)
        throw errors.STORE_CREDENTIALS_INVALID(`cannot read credentials from ${path}: ${message}`, {
          details: { path },
        });
      if (this.#complaint !== message) log.warn({ file: path, error: message }, "credentials not read again");
      this.#complaint = message;
      return this.#known.credentials;
    }
  }

  async #values(path: string): Promise<Readonly<Record<string, unknown>>> {
    if ((await stat(path)).isDirectory()) return valuesOfFolder(path);
    const text = await readFile(path, "utf8");
    return text.trimStart().startsWith("{")
      ? valuesOfJson(text)
      : valuesOfSection(text, this.#options.profile);
  }
}

/** Changes with the file, or with the files of a folder; links of mounted Secrets are followed. */
async function markOf(path: string): Promise<string> {
  const facts = await stat(path);
  const paths = facts.isDirectory() ? (await readdir(path)).map((name) => join(path, name)) : [path];
  const marks = await Promise.all(
    paths.map(async (each) => {
      const { ino, mtimeMs, size } = await stat(each);
      return `${each} ${ino} ${mtimeMs} ${size}`;
    }),
  );
  return marks.join("\n");
}

async function valuesOfFolder(path: string): Promise<Readonly<Record<string, string>>> {
  const entries: [string, string][] = [];
  for (const name of await readdir(path))
    if (!name.startsWith(".") && (await stat(join(path, name))).isFile())
      entries.push([name, (await readFile(join(path, name), "utf8")).trim()]);
  return Object.fromEntries(entries);
}

function valuesOfJson(text: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's message would quote the file.
    throw new Error("it is no JSON");
  }
  return typeof value === "object" && value !== null ? { ...value } : {};
}

/** One section of the AWS credentials format: `[name]`, then `key = value`. */
function valuesOfSection(text: string, profile: string): Readonly<Record<string, string>> {
  let section = "";
  const values: [string, string][] = [];
  for (const line of text.split("\n").map((each) => each.trim())) {
    section = /^\[(?:profile )?(.*)\]$/.exec(line)?.[1]?.trim() ?? section;
    const [, key, value] = /^([^#;=\s]+)\s*=\s*(.*)$/.exec(line) ?? [];
    if (section === profile && key !== undefined && value !== undefined) values.push([key, value]);
  }
  return Object.fromEntries(values);
}

function credentialsIn(values: Readonly<Record<string, unknown>>, where: string): S3Credentials {
  const byName = new Map(
    Object.entries(values).map(([key, value]) => [key.toLowerCase().replace(/[^a-z]/g, ""), value]),
  );
  const find = (candidates: readonly string[]): string | undefined =>
    candidates
      .map((name) => byName.get(name))
      .find((value): value is string => typeof value === "string" && value !== "");
  const [accessKey, secretKey] = [find(names.accessKey), find(names.secretKey)];
  if (accessKey === undefined || secretKey === undefined)
    throw errors.STORE_CREDENTIALS_INVALID(
      `${where} holds no ${accessKey === undefined ? "access key id" : "secret access key"}`,
    );
  const sessionToken = find(names.sessionToken);
  return { accessKey, secretKey, ...(sessionToken !== undefined && { sessionToken }) };
}
