import { join } from "node:path";
import { runReadmeExample } from "@aeon/testkit";
import { expect, test } from "vitest";

test("the README's example runs", async () => {
  expect(await runReadmeExample(join(import.meta.dirname, "../README.md"))).toBe("false\n");
});
