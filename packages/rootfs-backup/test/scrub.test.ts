import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { silentLogger } from "@aeon/core";
import { expect, test, vi } from "vitest";
import { ArchiveWorker } from "../src/worker/archive-worker.ts";
import { layout } from "../src/store/layout.ts";
import { cycle } from "./containers.ts";
import { startNode } from "./node.ts";
import { scratch } from "./scratch.ts";

const within = { timeout: 60_000, interval: 100 };

test(
  "damage in the store is found without anybody asking, told, and forgotten when it is mended",
  { timeout: 120_000 },
  async () => {
    using dir = scratch();
    const logged: string[] = [];
    const log = {
      error: (facts: object, text: string) => void logged.push(`${text} ${JSON.stringify(facts)}`),
    };
    const config = { store: { path: dir.at("store") }, scrub: { interval: "1s" } } as const;
    const options = { root: dir.at("node"), config, log: { ...silentLogger, ...log } };
    let id: string;
    let blob: string;
    {
      await using node = await startNode(options);
      const script = "head -c 3000000 /dev/urandom > a";
      const { backup } = await cycle(node, dir, { id: "one", from: undefined, script });
      const { backup: other } = await cycle(node, dir, { id: "two", from: undefined, script });
      id = backup;
      const health = node.checks.get("stored-backups");
      expect(health?.()).toEqual({ ok: true });
      const [layer] = await node.chain(backup);
      if (layer === undefined) throw new Error("backup has no layer");
      blob = dir.at("store", layout.blob("default", layer.digest));
      flip(blob);
      await vi.waitUntil(() => health?.().ok === false, within);
      const report = health?.();
      expect(report).toMatchObject({ reason: expect.stringContaining(backup) });
      expect(report).toMatchObject({ reason: expect.not.stringContaining(other) });
      expect(logged.join()).toContain("stored backup is damaged");
      expect(logged.join()).not.toContain(other);
    }
    await using node = await startNode({ ...options, config: { ...config, scrub: { interval: "1h" } } });
    const health = node.checks.get("stored-backups");
    // The next process knows of it, although it is not its turn yet.
    expect(health?.()).toMatchObject({ ok: false, reason: expect.stringContaining(id) });
    flip(blob);
    await node[Symbol.asyncDispose]();
    await using last = await startNode(options);
    await vi.waitUntil(() => last.checks.get("stored-backups")?.().ok, within);
  },
);

test("the store is read no faster than it may be", { timeout: 60_000 }, async () => {
  using dir = scratch();
  await using node = await startNode({ root: dir.at("node") });
  const script = "head -c 3000000 /dev/urandom > a";
  const { backup } = await cycle(node, dir, { id: "one", from: undefined, script });
  const [layer] = await node.chain(backup);
  if (layer === undefined) throw new Error("backup has no layer");
  await using worker = new ArchiveWorker();
  const request = { store: JSON.stringify(node.backups.storeTable), tenant: "default", layer };
  const { signal } = new AbortController();
  const startedAt = performance.now();
  const bytes = await worker.verify({ ...request, rate: 1_000_000 }, signal);
  expect(bytes).toBeGreaterThanOrEqual(layer.size);
  expect(performance.now() - startedAt).toBeGreaterThan(2500);
});

test("a store that is out of reach is no damage", { timeout: 60_000 }, async () => {
  using dir = scratch();
  const warn = vi.fn<(facts: object, text: string) => void>();
  const config = { store: { path: dir.at("store") }, scrub: { interval: "1s" } } as const;
  await using node = await startNode({ root: dir.at("node"), config, log: { ...silentLogger, warn } });
  await cycle(node, dir, { id: "one", from: undefined, script: "echo 1 > a" });
  renameSync(dir.at("store"), dir.at("elsewhere"));
  await vi.waitUntil(
    () => warn.mock.calls.some(([, text]) => text === "stored backups not read again"),
    within,
  );
  expect(node.checks.get("stored-backups")?.()).toEqual({ ok: true });
});

function flip(path: string): void {
  const bytes = readFileSync(path);
  const at = bytes.length >> 1;
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  writeFileSync(path, bytes);
}
