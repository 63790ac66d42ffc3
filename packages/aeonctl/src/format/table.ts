import Table from "cli-table3";
import { printable } from "./printable.ts";
import type { Style } from "./style.ts";

/** One column of a table of `Row`s. */
export interface Column<Row> {
  readonly title: string;
  readonly text: (row: Row) => string | null;
  readonly align?: "left" | "right";
  /** Colours the finished text. */
  readonly paint?: (text: string, row: Row, style: Style) => string;
}

const noBorders = Object.fromEntries(
  ["top", "bottom", "mid"]
    .flatMap((row) => [row, `${row}-mid`, `${row}-left`, `${row}-right`])
    .concat("mid-mid", "left", "left-mid", "right", "right-mid")
    .map((name) => [name, ""]),
);

/** Rows under titles, aligned by spaces; an absent value is `-`. Names from outside cannot steer the terminal. */
export function formatTable<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  style: Style,
): string {
  const table = new Table({
    chars: { ...noBorders, middle: "  " },
    style: { "padding-left": 0, "padding-right": 0, head: [], border: [], compact: true },
    colAligns: columns.map(({ align }) => align ?? "left"),
  });
  table.push(columns.map(({ title }) => style.faint(title)));
  for (const row of rows)
    table.push(
      columns.map(({ text, paint }) => {
        const shown = printable(text(row) || "-");
        return paint === undefined ? shown : paint(shown, row, style);
      }),
    );
  return `${table.toString().replaceAll(/ +$/gm, "")}\n`;
}

/** Titles on the left, values on the right: one thing and its facts. */
export function formatFacts(facts: readonly (readonly [string, string | null])[], style: Style): string {
  const width = Math.max(...facts.map(([title]) => title.length));
  return facts
    .map(
      ([title, value]) =>
        `${style.faint(title.padEnd(width))}  ${value === null || value === "" ? "-" : value}\n`,
    )
    .join("");
}
