import { open, readFile, stat } from "node:fs/promises";
import { mkdtempDisposable } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { boundLog } from "./bound-log.ts";

test("a log that grew too large keeps its end, and its writer goes on at the start", async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), "aeon-log-"));
  const path = join(folder.path, "log");
  await boundLog(path, 1000);
  await using writer = await open(path, "a");
  await writer.write(`${"x".repeat(990)}\n`);
  await boundLog(path, 1000);
  expect((await stat(path)).size).toBe(991);
  await writer.write(`${"y".repeat(300_000)}last\n`);
  await boundLog(path, 1000);
  await writer.write("next\n");
  expect(await readFile(path, "utf8")).toBe("next\n");
  const before = await readFile(`${path}.1`, "utf8");
  expect(before).toHaveLength(256 * 1024);
  expect(before).toMatch(/^y+last\n$/);
});
