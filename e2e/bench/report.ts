import { styleText } from "node:util";
import type { Row } from "./benchmark.ts";

const columns = ["", "value", "unit", "peer", "ratio", "goal", ""] as const;

/** Lays rows out as a table for people. */
export function table(rows: readonly Row[]): string {
  const cells = [columns, ...rows.map(cellsOf)];
  const widths = columns.map((_, index) => Math.max(...cells.map((line) => line[index]?.length ?? 0)));
  return cells
    .map((line) =>
      line
        .map((cell, index) => pad(cell, widths[index] ?? 0, index))
        .join("  ")
        .trimEnd(),
    )
    .map((line, index) => (index === 0 ? styleText("bold", line) : colour(line, rows[index - 1])))
    .join("\n");
}

const cellsOf = ({ name, value, unit, peer, ratio, goal, pass }: Row): readonly string[] => [
  name,
  number(value),
  unit,
  peer === null ? "" : number(peer),
  ratio === null ? "" : ratio.toFixed(2),
  goal ?? "",
  pass === null ? "" : pass ? "met" : "MISSED",
];

const number = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(3);

const numeric = new Set([1, 3, 4]);
const pad = (cell: string, width: number, column: number): string =>
  numeric.has(column) ? cell.padStart(width) : cell.padEnd(width);

function colour(line: string, row: Row | undefined): string {
  if (row?.pass === false) return styleText("red", line);
  return row?.pass === true ? styleText("green", line) : line;
}
