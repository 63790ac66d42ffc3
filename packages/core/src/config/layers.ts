import type { GenericSchema } from "valibot";
import type { Leaf } from "./leaves.ts";
import { lineOfKey, parseTomlValue, type TomlTable } from "./toml.ts";

/** Where the value of a key comes from. */
export type Origin =
  | { readonly kind: "default" }
  | { readonly kind: "file"; readonly file: string; readonly line?: number }
  | { readonly kind: "environment"; readonly name: string }
  | { readonly kind: "flag"; readonly name: string };

/** How an origin is shown: `/etc/aeon/config.toml:12`, `$AEON_ROOT`, `--root`, `default`. */
export function showOrigin(origin: Origin): string {
  if (origin.kind === "default") return "default";
  if (origin.kind === "file")
    return origin.line === undefined ? origin.file : `${origin.file}:${origin.line}`;
  return origin.kind === "environment" ? `$${origin.name}` : origin.name;
}

/** Values of one source, by key path. */
export interface Layer {
  readonly values: TomlTable;
  originOf(path: readonly string[]): Origin;
}

export function fileLayer(file: string, text: string, table: TomlTable): Layer {
  return {
    values: table,
    originOf(path) {
      const line = lineOfKey(text, path);
      return { kind: "file", file, ...(line !== undefined && { line }) };
    },
  };
}

/** The environment variable of a key: `AEON_SNAPSHOTTER_SOCKET` for `snapshotter.socket`. */
export const variableOf = (path: readonly string[]): string =>
  `AEON_${path.join("_").replaceAll("-", "_").toUpperCase()}`;

export function environmentLayer(leaves: readonly Leaf[], environment: NodeJS.ProcessEnv): Layer {
  const texts = leaves.flatMap((leaf) => {
    const text = environment[variableOf(leaf.path)];
    return text === undefined ? [] : [{ leaf, text }];
  });
  return textLayer(texts, (path) => ({ kind: "environment", name: variableOf(path) }));
}

/** Flags are given by dotted key: `{ "snapshotter.socket": "/run/x.sock" }`. */
export function flagLayer(leaves: readonly Leaf[], flags: Readonly<Record<string, string>>): Layer {
  const byKey = new Map(leaves.map((leaf) => [leaf.path.join("."), leaf]));
  const texts = Object.entries(flags).map(([key, text]) => ({
    leaf: byKey.get(key) ?? { path: key.split(".") },
    text,
  }));
  return textLayer(texts, (path) => ({ kind: "flag", name: `--set ${path.join(".")}` }));
}

function textLayer(
  texts: readonly { readonly leaf: Pick<Leaf, "path"> & Partial<Leaf>; readonly text: string }[],
  originOf: (path: readonly string[]) => Origin,
): Layer {
  let values: TomlTable = {};
  for (const { leaf, text } of texts)
    values = mergeTables(values, nested(leaf.path, fromText(leaf.schema, text)));
  return { values, originOf };
}

function nested([key = "", ...rest]: readonly string[], value: unknown): TomlTable {
  return { [key]: rest.length === 0 ? value : nested(rest, value) };
}

/** Lists may be written with commas; whatever is no text is read as TOML. Nonsense is left for the schema to refuse. */
function fromText(schema: GenericSchema | undefined, text: string): unknown {
  if (schema === undefined) return text;
  const types =
    "options" in schema && Array.isArray(schema.options) ? schema.options.map(typeOf) : [schema.type];
  if (types.includes("array")) {
    const list = text.trimStart().startsWith("[") ? parseTomlValue(text) : undefined;
    return (
      list ??
      text
        .split(",")
        .map((part) => part.trim())
        .filter((part) => part !== "")
    );
  }
  if (types.some((type) => type === "string" || type === "picklist")) return text;
  return parseTomlValue(text) ?? text;
}

const typeOf = (schema: unknown): string =>
  typeof schema === "object" && schema !== null && "type" in schema ? String(schema.type) : "string";

export const isTable = (value: unknown): value is TomlTable =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);

/** Keys of `over` win; tables are joined, everything else is replaced. */
export function mergeTables(under: TomlTable, over: TomlTable): TomlTable {
  const merged = new Map<string, unknown>(Object.entries(under));
  for (const [key, value] of Object.entries(over)) {
    const below = merged.get(key);
    merged.set(key, isTable(below) && isTable(value) ? mergeTables(below, value) : value);
  }
  return Object.fromEntries(merged);
}

/** The value at a path; undefined where there is none. */
export function valueAt(table: unknown, path: readonly string[]): unknown {
  let value: unknown = table;
  for (const key of path) value = isTable(value) && Object.hasOwn(value, key) ? value[key] : undefined;
  return value;
}
