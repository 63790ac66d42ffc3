import { join } from "node:path";
import { runReadmeExample } from "@aeon/testkit";
import { expect, test } from "vitest";

test("the example of the README runs", async () => {
  const output = await runReadmeExample(join(import.meta.dirname, "../README.md"));
  expect(output).toMatch(/^sha256:[0-9a-f]{64} sha256:[0-9a-f]{64} 1\nchanged\n\n$/);
});
