import { join } from "node:path";
import { runReadmeExample } from "@aeon/testkit";
import { expect, test } from "vitest";

test("the README's example runs", async () => {
  const output = await runReadmeExample(join(import.meta.dirname, "../README.md"));
  expect(output).toBe("200 snapshotter backup hooks container-service dind linux http admin\n");
});
