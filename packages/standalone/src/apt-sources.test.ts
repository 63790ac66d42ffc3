import { expect, test } from "vitest";
import { parseTargets, sourcesFor } from "./apt-sources.ts";

const targets = parseTargets(
  `http://mirror.example/debian bookworm main
http://mirror.example/debian bookworm contrib
http://mirror.example/debian bookworm-updates main
http://mirror.example/security bookworm-security main
http://other.example bookworm-pgdg main
http://vendor.example nodistro main
`,
);

test("the machine's own suite keeps its updates and security entries and drops other vendors", () => {
  expect(sourcesFor("bookworm", "bookworm", targets, undefined)).toEqual([
    "deb http://mirror.example/debian bookworm main",
    "deb http://mirror.example/debian bookworm-updates main",
    "deb http://mirror.example/security bookworm-security main",
  ]);
});

test("another suite comes from the mirror of the machine's own suite", () => {
  expect(sourcesFor("forky", "bookworm", targets, "/k.gpg")).toEqual([
    "deb [signed-by=/k.gpg] http://mirror.example/debian forky main",
  ]);
});

test("an alias such as stable counts as the machine's own suite", () => {
  const aliased = parseTargets(
    "http://m.example/debian stable main\nhttp://m.example/sec stable-security main\n",
  );
  expect(sourcesFor("bookworm", "bookworm", aliased, undefined)).toEqual([
    "deb http://m.example/debian stable main",
    "deb http://m.example/sec stable-security main",
  ]);
  expect(sourcesFor("trixie", "bookworm", aliased, undefined)).toEqual([
    "deb http://m.example/debian trixie main",
  ]);
});

test("no mirror of the machine's own suite gives no sources", () => {
  expect(
    sourcesFor("forky", "bookworm", parseTargets("http://vendor.example nodistro main"), undefined),
  ).toEqual([]);
  expect(sourcesFor("bookworm", "bookworm", [], undefined)).toEqual([]);
});
