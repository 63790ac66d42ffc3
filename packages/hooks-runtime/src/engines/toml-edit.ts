import { isDeepStrictEqual } from "node:util";
import { errorMessage } from "@aeon/core";
import { parse as parseForPatch, patch } from "@decimalturn/toml-patch";
import { parse, stringify, TomlError } from "smol-toml";
import { errors } from "../errors.ts";

/** A table of a TOML file. */
export interface TomlTable {
  [key: string]: unknown;
}

/** Reads TOML; whole numbers keep all their digits. Throws `ENGINE_CONFIG_INVALID` with the line. */
export function readTable(text: string, file: string): TomlTable {
  try {
    return parse(text, { integersAsBigInt: true });
  } catch (error) {
    const line = error instanceof TomlError ? error.line : 1;
    throw errors.ENGINE_CONFIG_INVALID(`${file}:${line}: ${errorMessage(error).split("\n")[0] ?? ""}`, {
      cause: error,
    });
  }
}

/** The table at a path, or undefined. Throws `ENGINE_CONFIG_INVALID` when something else stands there. */
export function tableAt(table: TomlTable, path: readonly string[], file: string): TomlTable | undefined {
  let at: unknown = table;
  for (const [index, key] of path.entries()) {
    if (!isTable(at))
      throw errors.ENGINE_CONFIG_INVALID(`${file}: ${path.slice(0, index).join(".")} is no table`);
    at = at[key];
    if (at === undefined) return undefined;
  }
  if (!isTable(at)) throw errors.ENGINE_CONFIG_INVALID(`${file}: ${path.join(".")} is no table`);
  return at;
}

/** The text at a path, if there is one. */
export function textAt(table: TomlTable, path: readonly string[], file: string): string | undefined {
  const value = tableAt(table, path.slice(0, -1), file)?.[path.at(-1) ?? ""];
  return typeof value === "string" ? value : undefined;
}

/** A copy with a value at a path; tables on the way are made, and without a value the key and empty tables go. */
export function withValue(table: TomlTable, path: readonly string[], value: unknown): TomlTable {
  const [key = "", ...rest] = path;
  const copy = { ...table };
  const below = copy[key];
  const next = rest.length === 0 ? value : withValue(isTable(below) ? below : {}, rest, value);
  const isGone =
    next === undefined || (value === undefined && isTable(next) && Object.keys(next).length === 0);
  if (isGone) delete copy[key];
  else copy[key] = next;
  return copy;
}

/**
 * Changes a TOML text so that it means `wanted`, with its comments and order. `added` are tables that are new: they
 * come at the end with headers of their own where that means the same. Throws `ENGINE_CONFIG_INVALID`.
 */
export function editToml(
  text: string,
  wanted: TomlTable,
  added: readonly (readonly string[])[],
  file: string,
): string {
  const without = added.reduce((table, path) => withValue(table, path, undefined), wanted);
  const candidates = [
    () => joinTables(patchTo(text, without, file), added, wanted),
    () => dropTables(text, wanted),
    () => patchTo(text, wanted, file),
  ];
  for (const candidate of candidates) {
    const result = attempt(candidate);
    if (result !== undefined && means(result, wanted)) return result;
  }
  throw errors.ENGINE_CONFIG_INVALID(`${file}: cannot be changed without changing its meaning`);
}

const means = (text: string, wanted: TomlTable): boolean =>
  isDeepStrictEqual(plain(attempt(() => parse(text, { integersAsBigInt: true }))), plain(wanted));

/** Parsers differ in prototypes and kinds of number, which mean nothing here. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Date) return value.toISOString();
  if (isTable(value))
    return new Map(
      Object.entries(value)
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, part]) => [key, plain(part)]),
    );
  return typeof value === "bigint" ? String(value) : value;
}

function patchTo(text: string, wanted: TomlTable, file: string): string {
  if (means(text, wanted)) return text;
  const whole = readTable(text, file);
  // toml-patch compares with what its own parser makes of the text: only what changes is taken from elsewhere.
  return patch(text, mergeChanges(parseForPatch(text), whole, wanted));
}

function mergeChanges(own: unknown, before: unknown, after: unknown): unknown {
  if (!isTable(own) || !isTable(before) || !isTable(after))
    return isDeepStrictEqual(plain(before), plain(after)) ? own : after;
  return Object.fromEntries(
    Object.entries(after).map(([key, value]) => [key, mergeChanges(own[key], before[key], value)]),
  );
}

function joinTables(text: string, added: readonly (readonly string[])[], wanted: TomlTable): string {
  const blocks = added.map((path) => {
    let value: unknown = wanted;
    for (const key of path) value = isTable(value) ? value[key] : undefined;
    return stringify(withValue({}, path, value));
  });
  const gap = text === "" || text.endsWith("\n") ? "" : "\n";
  return [text + gap, ...blocks].filter((part) => part !== "").join("\n");
}

/** Leaves out the tables with headers that the wanted meaning does not have. */
function dropTables(text: string, wanted: TomlTable): string {
  let dropping = false;
  const kept: string[] = [];
  for (const line of text.split("\n")) {
    const header = /^\s*\[[^[].*\]\s*(?:#.*)?$/.test(line) ? attempt(() => parse(line)) : undefined;
    if (header !== undefined) dropping = !isWithin(header, wanted);
    if (!dropping) kept.push(line);
  }
  return kept.join("\n").replace(/\n{2,}$/, "\n");
}

function isWithin(header: TomlTable, table: TomlTable): boolean {
  return Object.entries(header).every(([key, below]) => {
    const part = table[key];
    return isTable(part) && isTable(below) && isWithin(below, part);
  });
}

export const isTable = (value: unknown): value is TomlTable =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);

function attempt<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}
