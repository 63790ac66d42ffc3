import { join } from "node:path";
import { expect, test } from "vitest";
import { runReadmeExample } from "@aeon/testkit";

test("the README's example runs", async () => {
  const output = await runReadmeExample(join(import.meta.dirname, "../README.md"));
  expect(output).toBe('/usr/local/bin/scan\nscan false namespace "dev" against /^prod-/\n');
});
