import { readFileSync } from "node:fs";
import { parse, stringify, TomlError } from "smol-toml";
import { errorMessage } from "../error.ts";
import { errors } from "../errors.ts";

/** A table of a TOML file, as parsed. */
export type TomlTable = Readonly<Record<string, unknown>>;

/** A configuration file larger than this is a mistake. */
const largestFile = 1_048_576;

/** Reads a TOML file. Throws `CONFIG_UNREADABLE` with file and line. */
export function readToml(file: string): { readonly text: string; readonly table: TomlTable } {
  const text = readText(file);
  try {
    return { text, table: parse(text) };
  } catch (error) {
    const line = error instanceof TomlError ? error.line : 1;
    const what = errorMessage(error).split("\n")[0] ?? "";
    throw errors.CONFIG_UNREADABLE(`${file}:${line}: ${what}`, { cause: error, details: { file, line } });
  }
}

function readText(file: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw errors.CONFIG_UNREADABLE(`cannot read configuration ${file}: ${errorMessage(error)}`, {
      cause: error,
      details: { file },
    });
  }
  if (bytes.length > largestFile)
    throw errors.CONFIG_UNREADABLE(`configuration ${file} is larger than 1 MiB`, { details: { file } });
  return bytes.toString("utf8");
}

/** What a TOML text says. Throws the parser's own error. */
export const parseToml = (text: string): TomlTable => parse(text);

/** Writes values as TOML; keys without a value are left out. */
export function serializeToml(table: TomlTable): string {
  return stringify(table);
}

/** The value of `key = text`, if `text` is TOML. */
export function parseTomlValue(text: string): unknown {
  if (text.includes("\n")) return undefined;
  try {
    return parse(`value = ${text}`)["value"];
  } catch {
    return undefined;
  }
}

/** The line (from 1) where a key stands in a TOML text, for messages; undefined for exotic spellings. */
export function lineOfKey(text: string, path: readonly string[]): number | undefined {
  const wanted = path.join(".");
  let table: string[] = [];
  let nearest: number | undefined;
  for (const [index, line] of text.split("\n").entries()) {
    const header = /^\s*\[{1,2}\s*([^\]]+?)\s*\]/.exec(line)?.[1];
    if (header !== undefined) table = keyParts(header);
    const key = header === undefined ? /^\s*([\w."'-]+(?:\s*\.\s*[\w"'-]+)*)\s*=/.exec(line)?.[1] : undefined;
    if (header === undefined && key === undefined) continue;
    const full = [...table, ...(key === undefined ? [] : keyParts(key))].join(".");
    if (full === wanted) return index + 1;
    // A table that is only named by a longer header, or a value inside an inline table.
    if (
      nearest === undefined &&
      (full.startsWith(`${wanted}.`) || (key !== undefined && wanted.startsWith(`${full}.`)))
    )
      nearest = index + 1;
  }
  return nearest;
}

const keyParts = (key: string): string[] =>
  (key.match(/"[^"]*"|'[^']*'|[^.\s]+/g) ?? []).map((part) => part.replaceAll(/^["']|["']$/g, ""));
