import * as v from "valibot";
import { errors } from "../errors.ts";
import {
  environmentLayer,
  fileLayer,
  flagLayer,
  isTable,
  mergeTables,
  showOrigin,
  valueAt,
  type Layer,
  type Origin,
} from "./layers.ts";
import { keysBelow, leavesOf, type Leaf } from "./leaves.ts";
import { nearest } from "./nearest.ts";
import { readToml, type TomlTable } from "./toml.ts";

/** What a configuration is made of; later ones win: defaults, file, environment, flags. */
export interface ConfigSources {
  /** Path of a TOML file. */
  readonly file?: string;
  readonly environment?: NodeJS.ProcessEnv;
  /** Values as text, by dotted key. */
  readonly flags?: Readonly<Record<string, string>>;
}

/** A key with its value as written and where that stands. */
export interface ConfigEntry {
  readonly path: readonly string[];
  readonly value: unknown;
  readonly origin: Origin;
}

export interface LoadedConfig<Config> {
  /** Checked, converted and deeply frozen. */
  readonly config: Config;
  /** Every key that has a value, in the schema's order. */
  readonly entries: readonly ConfigEntry[];
}

/**
 * Reads and checks a configuration against a schema of strict objects. Throws `CONFIG_UNREADABLE` or
 * `CONFIG_INVALID`, whose message lists every fault with its place, key and the nearest valid key.
 */
export function loadConfig<Schema extends v.GenericSchema>(
  schema: Schema,
  sources: ConfigSources,
): LoadedConfig<v.InferOutput<Schema>> {
  const leaves = leavesOf(schema);
  const layers = layersOf(leaves, sources);
  const merged = layers.reduce<TomlTable>((under, layer) => mergeTables(under, layer.values), {});
  const origin = (path: readonly string[]): Origin =>
    layers.findLast((layer) => valueAt(layer.values, path) !== undefined)?.originOf(path) ?? {
      kind: "default",
    };
  const result = v.safeParse(schema, merged);
  if (!result.success) throw invalid(result.issues, leaves, merged, origin);
  return {
    config: freeze(expand(result.output, topLevel(result.output))),
    entries: entriesOf(leaves, merged, result.output, origin),
  };
}

/** Reads only the file, unchecked: for keys that decide what the schema is. */
export function peekConfig(sources: ConfigSources): TomlTable {
  return sources.file === undefined ? {} : readToml(sources.file).table;
}

function layersOf(leaves: readonly Leaf[], { file, environment, flags }: ConfigSources): Layer[] {
  const layers: Layer[] = [];
  if (file !== undefined) {
    const { text, table } = readToml(file);
    layers.push(fileLayer(file, text, table));
  }
  if (environment !== undefined) layers.push(environmentLayer(leaves, environment));
  if (flags !== undefined) layers.push(flagLayer(leaves, flags));
  return layers;
}

function invalid(
  issues: readonly v.BaseIssue<unknown>[],
  leaves: readonly Leaf[],
  merged: TomlTable,
  originOf: (path: readonly string[]) => Origin,
) {
  const faults = issues.map((issue) => {
    const path = (issue.path ?? []).map(({ key }) => String(key));
    const key = path.join(".");
    const own = originOf(path);
    const origin = own.kind === "default" ? originOf(path.slice(0, -1)) : own;
    const place = origin.kind === "default" ? "" : `${showOrigin(origin)}: `;
    return { key, origin, text: `${place}${key}: ${explain(issue, path, leaves, merged)}` };
  });
  const first = faults[0]?.origin;
  return errors.CONFIG_INVALID(faults.map(({ text }) => text).join("\n"), {
    details: {
      key: faults[0]?.key ?? "",
      ...(first?.kind === "file" && {
        file: first.file,
        ...(first.line !== undefined && { line: first.line }),
      }),
    },
  });
}

function explain(
  issue: v.BaseIssue<unknown>,
  path: readonly string[],
  leaves: readonly Leaf[],
  merged: TomlTable,
): string {
  const isUnknown = issue.type === "strict_object" && issue.expected === "never";
  if (isUnknown) {
    const siblings = keysBelow(leaves, path.slice(0, -1));
    const suggestion = nearest(path.at(-1) ?? "", siblings);
    return `unknown key; ${suggestion === undefined ? `valid here: ${siblings.join(", ")}` : `did you mean "${suggestion}"?`}`;
  }
  if (valueAt(merged, path) === undefined) return "missing";
  if (issue.message.startsWith("Invalid ")) {
    const suggestion =
      typeof issue.input === "string" ? nearest(issue.input, choices(issue.expected)) : undefined;
    const hint = suggestion === undefined ? "" : `; did you mean "${suggestion}"?`;
    return `expected ${issue.expected ?? "another value"} but received ${issue.received}${hint}`;
  }
  return `${issue.message.slice(0, 1).toLowerCase()}${issue.message.slice(1)}`;
}

/** The texts in valibot's `("a" | "b")`. */
const choices = (expected: string | null): string[] =>
  [...(expected ?? "").matchAll(/"([^"]*)"/g)].map((match) => match[1] ?? "");

function entriesOf(
  leaves: readonly Leaf[],
  merged: TomlTable,
  output: unknown,
  originOf: (path: readonly string[]) => Origin,
): ConfigEntry[] {
  return leaves.flatMap(({ path, default: fallback }): ConfigEntry[] => {
    const written = valueAt(merged, path);
    if (written !== undefined) return [{ path, value: written, origin: originOf(path) }];
    // Alternatives of a variant that were not chosen are absent from the output.
    if (valueAt(output, path) === undefined) return [];
    return [{ path, value: fallback ?? valueAt(output, path), origin: { kind: "default" } }];
  });
}

function topLevel(output: unknown): Readonly<Record<string, string>> {
  const folders = ["root", "state"].map((key) => [key, valueAt(output, [key])] as const);
  return Object.fromEntries(
    folders.filter((entry): entry is [string, string] => typeof entry[1] === "string"),
  );
}

/** Replaces `{root}` and `{state}` at the start of texts. */
function expand<T>(value: T, folders: Readonly<Record<string, string>>): T;
function expand(value: unknown, folders: Readonly<Record<string, string>>): unknown {
  if (typeof value === "string")
    return value.replace(/^\{(root|state)\}(?=\/)/, (whole, name: string) => folders[name] ?? whole);
  if (Array.isArray(value)) return value.map((item: unknown) => expand(item, folders));
  if (!isTable(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, expand(item, folders)]));
}

function freeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) for (const item of Object.values(value)) freeze(item);
  return Object.freeze(value);
}
