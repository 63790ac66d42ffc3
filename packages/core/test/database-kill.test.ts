import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { DatabaseSync } from "node:sqlite";
import { expect, onTestFinished, test } from "vitest";

const rounds = 20;
/** Rows that the writer leaves. */
const kept = 5000;

test(`no acknowledged write is lost in ${rounds} rounds of kill -9`, async () => {
  const seed = Number(process.env["AEON_TEST_SEED"] ?? Date.now() % 1_000_000);
  console.log(`seed ${seed} (set AEON_TEST_SEED to repeat)`);
  const random = randomOf(seed);
  const folder = mkdtempSync(join(tmpdir(), "aeon-kill-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "db");
  let acknowledged = 0;
  for (let round = 0; round < rounds; round += 1) {
    acknowledged = Math.max(acknowledged, await writeUntilKilled(path, random() * 200));
    const { ids, integrity } = inspect(path);
    expect(integrity).toBe("ok");
    const newest = ids.at(-1) ?? 0;
    expect(newest).toBeGreaterThanOrEqual(acknowledged);
    const oldest = Math.max(1, newest - kept + 1);
    expect(missing(ids, oldest, acknowledged)).toEqual([]);
  }
  expect(acknowledged).toBeGreaterThan(rounds * 10);
});

/** Returns the largest number up to which every write was acknowledged. */
async function writeUntilKilled(path: string, afterMs: number): Promise<number> {
  const child = spawn(
    process.execPath,
    ["--conditions=@aeon/source", join(import.meta.dirname, "database-writer.ts"), path],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const exited = once(child, "exit");
  const ids: number[] = [];
  const lines = createInterface({ input: child.stdout });
  lines.on("line", (line) => ids.push(Number(line)));
  const ended = once(lines, "close");
  await Promise.race([once(lines, "line"), exited]);
  await sleep(afterMs);
  child.kill("SIGKILL");
  const [, signal] = (await exited) as [number | null, string | null];
  expect(signal).toBe("SIGKILL");
  await ended;
  return Math.max(...ids);
}

function inspect(path: string): { ids: number[]; integrity: unknown } {
  using database = new DatabaseSync(path);
  const ids = database.prepare("SELECT id FROM t ORDER BY id").all();
  return {
    ids: ids.map((row) => Number(row["id"])),
    integrity: database.prepare("PRAGMA integrity_check").get()?.["integrity_check"],
  };
}

function missing(ids: readonly number[], from: number, to: number): number[] {
  const present = new Set(ids);
  return Array.from({ length: to - from + 1 }, (_, index) => from + index).filter((id) => !present.has(id));
}

/** Numerical Recipes' linear congruential generator: enough to vary when the kill comes. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
}
