import { join } from "node:path";
import { expect, test } from "vitest";
import { runReadmeExample } from "../src/index.ts";

test("the README's example runs", async () => {
  expect(await runReadmeExample(join(import.meta.dirname, "../README.md"))).toBe("true\n");
});
