import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { runReadmeExample } from "@aeon/testkit";
import { expect, test } from "vitest";

const execute = promisify(execFile);

test("the generated code is what the .proto files give", async () => {
  const check = join(import.meta.dirname, "../../../tools/check-generated.mjs");
  await expect(execute(process.execPath, [check])).resolves.toMatchObject({ stderr: "" });
});

test("the README's example runs", async () => {
  expect(await runReadmeExample(join(import.meta.dirname, "../README.md"))).toBe("k8s.io/1/demo\n");
});
