import { expect, test } from "vitest";
import { printable } from "./printable.ts";
import { plainStyle } from "./style.ts";
import { formatFacts, formatTable, type Column } from "./table.ts";

interface Row {
  readonly name: string;
  readonly size: number | null;
}
const name: Column<Row> = { title: "NAME", text: (row) => row.name };
const columns: readonly Column<Row>[] = [
  name,
  { title: "SIZE", text: ({ size }) => size?.toString() ?? null, align: "right" },
];

test("aligns columns by spaces and says absent values", () => {
  const rows = [
    { name: "a", size: 5 },
    { name: "longer", size: 12_345 },
    { name: "", size: null },
  ];
  expect(formatTable(rows, columns, plainStyle)).toBe(
    ["NAME     SIZE", "a           5", "longer  12345", "-           -", ""].join("\n"),
  );
});

test("prints titles when there are no rows", () => {
  expect(formatTable([], columns, plainStyle)).toBe("NAME  SIZE\n");
});

test("aligns wide characters and painted cells", () => {
  const painted = [{ ...name, paint: (text: string) => `\u001B[31m${text}\u001B[39m` }, ...columns.slice(1)];
  const rows = [
    { name: "容器", size: 1 },
    { name: "abcd", size: 2 },
  ];
  expect(formatTable(rows, painted, plainStyle)).toBe(
    ["NAME  SIZE", "\u001B[31m容器\u001B[39m     1", "\u001B[31mabcd\u001B[39m     2", ""].join("\n"),
  );
});

test("keeps names from steering the terminal", () => {
  const rows = [{ name: "\u001B]0;owned\u0007\nnext\u202Egnp", size: 1 }];
  const text = formatTable(rows, columns, plainStyle);
  expect(text).toContain(String.raw`\x1b]0;owned\x07\x0anext\u{202e}gnp`);
  expect(text.split("\n")).toHaveLength(3);
  expect(printable("plain ünïcode 容器")).toBe("plain ünïcode 容器");
});

test("lists facts under each other", () => {
  expect(
    formatFacts(
      [
        ["id", "x"],
        ["longer", null],
      ],
      plainStyle,
    ),
  ).toBe("id      x\nlonger  -\n");
});
