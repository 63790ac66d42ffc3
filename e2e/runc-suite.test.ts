import { expect, test } from "vitest";
import { compareRuncSuite } from "./runc-suite/compare.ts";
import { differences } from "./runc-suite/tap.ts";

/** The quick files that are about what the launcher could disturb; `npm run conformance -- runc` runs all. */
const files = [
  "checkpoint",
  "create",
  "delete",
  "exec",
  "hooks",
  "run",
  "start",
  "start_detached",
  "start_hello",
  "state",
  "tty",
  "userns",
];

test("runc's own suite gives the same results with the launcher and hooks as with runc alone", async () => {
  const { plain, ours, hooks } = await compareRuncSuite({ files });
  expect(differences(plain, ours)).toEqual([]);
  expect(plain.filter(({ outcome }) => outcome === "ok").length).toBeGreaterThanOrEqual(40);
  expect(hooks).toBeGreaterThan(100);
}, 600_000);
