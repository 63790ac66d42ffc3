import { mkdtempDisposable } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { tryLock, withFileLock } from "./file-lock.ts";

test("one holder at a time, in the same process too", async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), "aeon-lock-"));
  const path = join(folder.path, "deep", "lock");
  let inside = 0;
  let most = 0;
  const results = await Promise.all(
    [1, 2, 3].map((n) =>
      withFileLock(path, async () => {
        most = Math.max(most, ++inside);
        expect(await tryLock(path)).toBeUndefined();
        inside -= 1;
        return n;
      }),
    ),
  );
  expect([results, most]).toEqual([[1, 2, 3], 1]);
  await using lock = await tryLock(path);
  expect(lock).toBeDefined();
});

test("work that fails releases the lock, and waiting ends with its signal", async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), "aeon-lock-"));
  const path = join(folder.path, "lock");
  await expect(withFileLock(path, () => Promise.reject(new Error("broke")))).rejects.toThrow("broke");
  await using lock = await tryLock(path);
  expect(lock).toBeDefined();
  const reason = new Error("enough");
  await expect(withFileLock(path, () => Promise.resolve(), AbortSignal.abort(reason))).rejects.toBe(reason);
});
