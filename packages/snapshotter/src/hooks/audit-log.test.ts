import { mkdtempSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AeonError, createMetrics } from "@aeon/core";

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { callBy, key } from "../../test/support/call.ts";
import { MemorySnapshotter } from "../../test/support/memory-snapshotter.ts";
import { openAuditLog, type AuditLine, type AuditLogOptions } from "./audit-log.ts";
import { createHookPipeline } from "./pipeline.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "aeon-audit-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const linesOf = (path: string): AuditLine[] =>
  readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line): AuditLine => JSON.parse(line));

const audited = async (options: Partial<AuditLogOptions> = {}) => {
  const path = join(folder, "audit.jsonl");
  const audit = await openAuditLog({ path, ...options });
  const pipeline = createHookPipeline({ backend: new MemorySnapshotter() });
  pipeline.register(audit.hook);
  return { path, audit, pipeline };
};

test("one line for each change, with who, what, how long and how it ended", async () => {
  const { path, audit, pipeline } = await audited();
  const caller = callBy({ namespace: "k8s.io", lease: "l1" });
  pipeline.register({
    name: "refuse",
    timeoutMs: 1000,
    onFailure: "fail",
    preRemove: async () => {
      throw new AeonError("failed-precondition", "STAGING_FULL", "no room");
    },
  });
  await pipeline.prepare({ key: key("k8s.io/1/a b"), labels: {} }, caller);
  await pipeline.stat({ key: key("k8s.io/1/a b") }, caller);
  await pipeline.commit({ key: key("k8s.io/1/a b"), name: key("k8s.io/2/n"), labels: {} }, callBy());
  await expect(pipeline.remove({ key: key("k8s.io/2/n") }, callBy())).rejects.toThrow("no room");
  await audit[Symbol.asyncDispose]();
  expect(linesOf(path)).toEqual([
    {
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      operation: "prepare",
      key: "k8s.io/1/a b",
      namespace: "k8s.io",
      lease: "l1",
      ms: expect.any(Number),
      code: "ok",
    },
    expect.objectContaining({ operation: "commit", key: "k8s.io/1/a b", name: "k8s.io/2/n", code: "ok" }),
    expect.objectContaining({ operation: "remove", code: "failed-precondition", reason: "STAGING_FULL" }),
  ]);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("reads are written when asked for", async () => {
  const { path, audit, pipeline } = await audited({ reads: true });
  await expect(pipeline.stat({ key: key("gone") }, callBy())).rejects.toThrow("gone");
  await Array.fromAsync(await pipeline.list({ filters: [] }, callBy()));
  await audit[Symbol.asyncDispose]();
  expect(linesOf(path).map(({ operation, code }) => [operation, code])).toEqual([
    ["stat", "not-found"],
    ["list", "ok"],
  ]);
});

test("after a rotation lines go to the new file", async () => {
  const { path, audit, pipeline } = await audited();
  await pipeline.prepare({ key: key("a"), labels: {} }, callBy());
  await vi.waitFor(() => expect(linesOf(path)).toHaveLength(1));
  renameSync(path, `${path}.1`);
  audit.reopen();
  await vi.waitFor(() => expect(linesOf(path)).toHaveLength(0));
  await pipeline.prepare({ key: key("b"), labels: {} }, callBy());
  await audit[Symbol.asyncDispose]();
  expect(linesOf(`${path}.1`).map((line) => line.key)).toEqual(["a"]);
  expect(linesOf(path).map((line) => line.key)).toEqual(["b"]);
});

test("hostile keys stay one line each", async () => {
  const { path, audit, pipeline } = await audited();
  const names = ["a\nb", '"},{"', "\u0000\u2028", "x".repeat(5000)];
  for (const name of names) await pipeline.prepare({ key: key(name), labels: {} }, callBy());
  await audit[Symbol.asyncDispose]();
  expect(linesOf(path).map((line) => line.key)).toEqual(names.map((name) => name.slice(0, 1024)));
});

test("a full disk costs lines, never a call", async () => {
  const metrics = await createMetrics();
  const audit = await openAuditLog({ path: "/dev/full", metrics });
  const pipeline = createHookPipeline({ backend: new MemorySnapshotter() });
  pipeline.register(audit.hook);
  const labels = {};
  const long = "x".repeat(1000);
  for (let index = 0; index < 6000; index += 1)
    await pipeline.prepare({ key: key(`${index}${long}`), labels }, callBy());
  expect(audit.dropped).toBeGreaterThan(0);
  expect(await metrics.text()).toContain(`aeon_snapshot_audit_lines_dropped_total ${audit.dropped}`);
  await audit[Symbol.asyncDispose]();
});

test("a file that cannot be opened is refused at once", async () => {
  await expect(openAuditLog({ path: join(folder, "no/such/folder") })).rejects.toMatchObject({
    reason: "AUDIT_LOG_UNUSABLE",
  });
});
