import type { SnapshotHook } from "@aeon/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { callBy, key } from "../../test/support/call.ts";
import { hook, pipelineWith, prepare } from "../../test/support/hooks.ts";
import { MemorySnapshotter } from "../../test/support/memory-snapshotter.ts";
import { createHookPipeline } from "./pipeline.ts";

describe("order", () => {
  test("pre functions run ascending, post functions descending, ties by registration", async () => {
    const orders = fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(orders, async (given) => {
        const seen: string[] = [];
        const pipeline = pipelineWith(
          ...given.map((order, index) =>
            hook(`h${index}`, {
              order,
              prePrepare: async () => void seen.push(`pre${index}`),
              postPrepare: async () => void seen.push(`post${index}`),
            }),
          ),
        );
        await prepare(pipeline);
        const sorted = given
          .map((order, index) => ({ order, index }))
          .toSorted((one, other) => one.order - other.order || one.index - other.index)
          .map(({ index }) => index);
        expect(seen).toEqual([
          ...sorted.map((index) => `pre${index}`),
          ...sorted.toReversed().map((index) => `post${index}`),
        ]);
      }),
      { numRuns: 50 },
    );
  });

  test("each function sees what the one before made of the request and the reply", async () => {
    const pipeline = pipelineWith(
      hook("first", {
        order: 1,
        prePrepare: async (request) => ({ ...request, labels: { ...request.labels, one: "1" } }),
        postPrepare: async (_, outcome) =>
          outcome.ok
            ? outcome.reply.map((mount) => ({ ...mount, options: [...mount.options, "b"] }))
            : undefined,
      }),
      hook("second", {
        order: 2,
        prePrepare: async (request) => ({
          ...request,
          labels: { ...request.labels, two: request.labels["one"] ?? "" },
        }),
        postPrepare: async (_, outcome) =>
          outcome.ok
            ? outcome.reply.map((mount) => ({ ...mount, options: [...mount.options, "a"] }))
            : undefined,
      }),
    );
    const mounts = await prepare(pipeline);
    expect(mounts[0]?.options).toEqual(["rw", "rbind", "a", "b"]);
    expect((await pipeline.stat({ key: key("a") }, callBy())).labels).toEqual({ one: "1", two: "1" });
  });

  test("a call keeps the hooks it started with; disposing ends a hook for later calls", async () => {
    const seen: string[] = [];
    const gate = Promise.withResolvers<undefined>();
    const pipeline = pipelineWith(hook("gate", { preStat: () => gate.promise }));
    await prepare(pipeline);
    const running = pipeline.stat({ key: key("a") }, callBy());
    const registered = pipeline.register(hook("late", { postStat: async () => void seen.push("late") }));
    gate.resolve(undefined);
    await running;
    expect(seen).toEqual([]);
    await pipeline.stat({ key: key("a") }, callBy());
    expect(seen).toEqual(["late"]);
    registered[Symbol.dispose]();
    registered[Symbol.dispose]();
    await pipeline.stat({ key: key("a") }, callBy());
    expect(seen).toEqual(["late"]);
  });
});

describe("registration", () => {
  test("a name is used once, and free again after disposal", () => {
    const pipeline = pipelineWith();
    const first = pipeline.register(hook("x", {}));
    expect(() => pipeline.register(hook("x", {}))).toThrow(
      expect.objectContaining({ code: "already-exists" }),
    );
    first[Symbol.dispose]();
    pipeline.register(hook("x", {}));
    first[Symbol.dispose]();
    expect(() => pipeline.register(hook("x", {}))).toThrow(
      expect.objectContaining({ reason: "HOOK_EXISTS" }),
    );
  });

  test.each([
    ["name", { name: "" }],
    ["name", { name: "a b" }],
    ["order", { order: Number.NaN }],
    ["timeoutMs", { timeoutMs: 0 }],
    ["timeoutMs", { timeoutMs: 600_001 }],
    ["onFailure", { onFailure: "maybe" as "fail" }],
    ["prePrepare", { prePrepare: 42 as unknown as NonNullable<SnapshotHook["prePrepare"]> }],
  ])("refuses a hook with a wrong %s", (what, wrong) => {
    expect(() => pipelineWith(hook("x", wrong))).toThrow(new RegExp(what));
  });
});

describe("no hooks", () => {
  test("the backend gets the very request and context", async () => {
    const backend = new MemorySnapshotter();
    const seen: unknown[] = [];
    backend.prepare = async (...given: unknown[]) => (seen.push(...given), []);
    const pipeline = createHookPipeline({ backend });
    pipeline.register(hook("elsewhere", { preStat: async () => undefined }));
    const request = { key: key("a"), labels: {} };
    const context = callBy();
    await pipeline.prepare(request, context);
    expect(seen[0]).toBe(request);
    expect(seen[1]).toBe(context);
  });
});
