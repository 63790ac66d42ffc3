import { backupId } from "@aeon/core";
import { expect, test } from "vitest";
import { Phases, type PhaseChange } from "./phases.ts";

const id = backupId("one");

function make() {
  const told: (readonly [string, string])[] = [];
  const progressed: string[] = [];
  const phases = new Phases({
    now: () => 1n,
    onChange: ({ from, to }: PhaseChange) => void told.push([from ?? "", to]),
    onProgress: (each) => void progressed.push(each),
  });
  return { phases, told, progressed };
}

test("each edge is told once, to the caller and to whoever follows", async () => {
  const { phases, told } = make();
  const stop = new AbortController();
  const followed: PhaseChange[] = [];
  const following = (async () => {
    for await (const change of phases.changes(stop.signal)) followed.push(change);
  })().catch(() => {});
  await Promise.resolve();
  phases.enter("key", "pending");
  phases.rename("key", id);
  for (const phase of ["capturing", "staged", "packing", "packing", "failed", "packing", "stored"] as const)
    phases.enter(id, phase, phase === "failed" ? { reason: "no room", nextAttemptAt: 5n } : {});
  const edges = ["", "pending", "capturing", "staged", "packing", "failed", "packing", "stored"];
  expect(told).toEqual(edges.slice(1).map((to, index) => [edges[index], to]));
  expect(phases.of(id)).toBeUndefined();
  await new Promise((resolve) => setImmediate(resolve));
  stop.abort();
  await following;
  expect(followed.map(({ to }) => to)).toEqual(edges.slice(1));
  expect(followed[4]).toMatchObject({ subject: id, reason: "no room", nextAttemptAt: 5n });
});

test("progress belongs to its phase, and its end is always told", () => {
  const { phases, progressed } = make();
  phases.progress(id, { done: 1 });
  expect(phases.of(id)).toBeUndefined();
  phases.enter(id, "uploading");
  phases.progress(id, { done: 1, total: 2 });
  expect(phases.of(id)).toEqual({
    phase: "uploading",
    forMs: expect.any(Number),
    progress: { done: 1, total: 2 },
  });
  phases.progress(id, { done: 2, total: 2 });
  expect(progressed).toEqual([id]);
  phases.enter(id, "verifying");
  expect(phases.of(id)).toEqual({ phase: "verifying", forMs: expect.any(Number) });
});
