import { mkdir, mkdtempDisposable, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { whenPathExists } from "./when-path-exists.ts";

const never = new AbortController().signal;

test("answers at once when one is there, and when one appears in a folder that was not there", async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), "appear-"));
  const paths = [join(folder.path, "a/b/socket"), join(folder.path, "rules")];
  const appeared = whenPathExists(paths, never);
  await mkdir(join(folder.path, "a/b"), { recursive: true });
  await writeFile(join(folder.path, "a/b/socket"), "");
  expect(await appeared).toBe(paths[0]);
  await writeFile(join(folder.path, "rules"), "");
  expect(await whenPathExists(paths.toReversed(), never)).toBe(paths[1]);
});

test("ends with the signal", async () => {
  const stop = new AbortController();
  const waiting = whenPathExists(["/nowhere/at/all"], stop.signal);
  stop.abort();
  expect(await waiting).toBeUndefined();
  expect(await whenPathExists(["/nowhere/at/all"], stop.signal)).toBeUndefined();
});
