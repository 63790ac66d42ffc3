import type { SnapshotInfo } from "@aeon/core";
import { parseFilter, type Selector } from "./parse.ts";

/** Whether a snapshot passes. */
export type InfoFilter = (info: SnapshotInfo) => boolean;

/** Whether text contains a match of a pattern. */
type Search = (text: string) => boolean;

/**
 * Compiles containerd filters over snapshots: any filter may match, none matches all. Patterns are RE2, so their
 * time is linear; a pattern that is no RE2 matches nothing. Throws `SNAPSHOT_FILTER_INVALID`.
 */
export async function compileFilters(filters: readonly string[]): Promise<InfoFilter> {
  const parsed = filters.map(parseFilter);
  if (parsed.length === 0 || parsed.some((selectors) => selectors.length === 0)) return () => true;
  const compiled = await Promise.all(
    parsed.map(async (selectors) => Promise.all(selectors.map(compileSelector))),
  );
  return (info) => compiled.some((selectors) => selectors.every((matches) => matches(info)));
}

async function compileSelector({ path, operator, value }: Selector): Promise<InfoFilter> {
  if (operator === "present") return (info) => fieldOf(info, path) !== undefined;
  if (operator === "==") return (info) => fieldOf(info, path) === value;
  if (operator === "!=") return (info) => (fieldOf(info, path) ?? "") !== value;
  const search = await compilePattern(value);
  return (info) => search(fieldOf(info, path) ?? "");
}

/** A field of a snapshot; undefined when it has none of that name. */
function fieldOf(info: SnapshotInfo, [first = "", ...rest]: readonly string[]): string | undefined {
  switch (first) {
    case "name":
      return info.name;
    case "parent":
      return info.parent ?? "";
    case "kind":
      return info.kind;
    case "labels": {
      const label = rest.join(".");
      return Object.hasOwn(info.labels, label) ? info.labels[label] : undefined;
    }
    default:
      return undefined;
  }
}

/** The RE2 engine is loaded for the first pattern: containerd itself sends none. */
async function compilePattern(pattern: string): Promise<Search> {
  const { RE2JS } = await import("re2js");
  try {
    const compiled = RE2JS.compile(pattern);
    return (text) => compiled.matcher(text).find();
  } catch {
    return () => false;
  }
}
