import { showOrigin } from "./layers.ts";
import type { ConfigEntry } from "./load.ts";
import { serializeToml } from "./toml.ts";

/** A configuration as a TOML file that loads to the same; each key says where its value came from. */
export function printConfig(entries: readonly ConfigEntry[]): string {
  const tables = Map.groupBy(entries, ({ path }) => path.slice(0, -1).join("."));
  const blocks = [...tables]
    // Keys of the top level cannot follow a table.
    .toSorted(([a], [b]) => Number(a !== "") - Number(b !== ""))
    .map(([table, members]) =>
      [...(table === "" ? [] : [`[${table}]`]), ...members.map(printEntry)].join("\n"),
    );
  return `${blocks.join("\n\n")}\n`;
}

function printEntry({ path, value, origin }: ConfigEntry): string {
  const line = serializeToml({ [path.at(-1) ?? ""]: value }).trimEnd();
  return line.includes("\n") ? `# ${showOrigin(origin)}\n${line}` : `${line}  # ${showOrigin(origin)}`;
}
