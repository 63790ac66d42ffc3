import type { GenericSchema } from "valibot";

/** One key of the configuration that holds a value, not a table. */
export interface Leaf {
  readonly path: readonly string[];
  readonly schema: GenericSchema;
  /** As written in a file, before the schema converts it. */
  readonly default?: unknown;
  readonly description?: string;
}

/** The keys a schema allows: objects are tables, alternatives of a `variant` or `union` of objects are joined. */
export function leavesOf(schema: GenericSchema, path: readonly string[] = []): Leaf[] {
  const { inner, fallback } = unwrap(schema);
  const tables = tablesOf(inner);
  if (tables.length === 0) {
    const description = descriptionOf(schema);
    return [
      {
        path,
        schema: inner,
        ...(fallback !== undefined && { default: fallback }),
        ...(description !== undefined && { description }),
      },
    ];
  }
  const leaves = new Map<string, Leaf>();
  for (const entries of tables)
    for (const [key, child] of Object.entries(entries))
      for (const leaf of leavesOf(child, [...path, key]))
        if (!leaves.has(leaf.path.join("."))) leaves.set(leaf.path.join("."), leaf);
  return [...leaves.values()];
}

/** Keys allowed directly below `path`; none where the schema has no table there. */
export function keysBelow(leaves: readonly Leaf[], path: readonly string[]): string[] {
  const below = leaves.filter((leaf) => path.every((part, index) => leaf.path[index] === part));
  return [...new Set(below.map((leaf) => leaf.path[path.length]).filter((key) => key !== undefined))];
}

const isSchema = (value: unknown): value is GenericSchema =>
  typeof value === "object" && value !== null && "kind" in value && value.kind === "schema";

/** Removes `optional` and the like around a schema, and the actions of a pipe after it. */
function unwrap(schema: GenericSchema): { inner: GenericSchema; fallback?: unknown } {
  let inner = schema;
  let fallback: unknown;
  for (;;) {
    if ("default" in inner && fallback === undefined)
      fallback = typeof inner.default === "function" ? inner.default() : inner.default;
    if ("wrapped" in inner && isSchema(inner.wrapped)) inner = inner.wrapped;
    else if (
      "pipe" in inner &&
      Array.isArray(inner.pipe) &&
      isSchema(inner.pipe[0]) &&
      inner.pipe[0] !== inner
    )
      inner = inner.pipe[0];
    else return { inner, fallback };
  }
}

function tablesOf(schema: GenericSchema): Readonly<Record<string, GenericSchema>>[] {
  if ("entries" in schema && typeof schema.entries === "object" && schema.entries !== null) {
    const entries = Object.entries(schema.entries);
    return [
      Object.fromEntries(entries.filter((entry): entry is [string, GenericSchema] => isSchema(entry[1]))),
    ];
  }
  if (
    (schema.type === "variant" || schema.type === "union") &&
    "options" in schema &&
    Array.isArray(schema.options)
  )
    return schema.options.filter(isSchema).flatMap((option) => tablesOf(unwrap(option).inner));
  return [];
}

function descriptionOf(schema: GenericSchema): string | undefined {
  const parts: unknown[] = "pipe" in schema && Array.isArray(schema.pipe) ? schema.pipe : [];
  for (const part of parts)
    if (
      typeof part === "object" &&
      part !== null &&
      "description" in part &&
      typeof part.description === "string"
    )
      return part.description;
  return "wrapped" in schema && isSchema(schema.wrapped) ? descriptionOf(schema.wrapped) : undefined;
}
