import { setTimeout as delay } from "node:timers/promises";
import { AeonError, isAeonError, type SnapshotHook, type SnapshotInfo, type Snapshotter } from "@aeon/core";
import { describe, expect, test } from "vitest";
import fc from "fast-check";
import { callBy, key } from "../../test/support/call.ts";
import { MemorySnapshotter } from "../../test/support/memory-snapshotter.ts";
import { createHookPipeline, type HookPipeline } from "./pipeline.ts";

const hook = (name: string, parts: Partial<SnapshotHook>): SnapshotHook => ({
  name,
  timeoutMs: 1000,
  onFailure: "fail",
  ...parts,
});

const pipelineWith = (...hooks: SnapshotHook[]): HookPipeline => {
  const pipeline = createHookPipeline({ backend: new MemorySnapshotter() });
  for (const each of hooks) pipeline.register(each);
  return pipeline;
};

const prepare = (pipeline: Snapshotter, name = "a") =>
  pipeline.prepare({ key: key(name), labels: {} }, callBy());

const never = () => new Promise<undefined>(() => {});

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

describe("failures", () => {
  test("post functions run after a failure and after a refusal, and see it", async () => {
    const seen: unknown[] = [];
    const pipeline = pipelineWith(
      hook("watch", {
        order: -10,
        postStat: async (_, outcome) => void seen.push(outcome.ok ? "ok" : outcome.error.code),
        postPrepare: async (_, outcome) => void seen.push(outcome.ok ? "ok" : outcome.error.reason),
      }),
      hook("refuse", {
        prePrepare: async () => {
          throw new AeonError("failed-precondition", "DISK_FULL", "no room");
        },
      }),
    );
    await expect(pipeline.stat({ key: key("gone") }, callBy())).rejects.toMatchObject({ code: "not-found" });
    await expect(prepare(pipeline)).rejects.toMatchObject({ reason: "DISK_FULL" });
    expect(seen).toEqual(["not-found", "DISK_FULL"]);
  });

  test("no failure of a hook becomes not-found or already-exists, whatever it throws", async () => {
    const codes = [
      "canceled",
      "unknown",
      "invalid-argument",
      "deadline-exceeded",
      "not-found",
      "already-exists",
      "permission-denied",
      "resource-exhausted",
      "failed-precondition",
      "aborted",
      "out-of-range",
      "unimplemented",
      "internal",
      "unavailable",
      "data-loss",
      "unauthenticated",
    ] as const;
    const thrown: unknown[] = [
      ...codes.map((code) => new AeonError(code, "X", `snapshot x: ${code}`)),
      Object.assign(new Error("ENOENT: no such file"), { code: "ENOENT" }),
      Object.assign(new Error("EEXIST: file exists"), { code: "EEXIST" }),
      new DOMException("stop", "AbortError"),
      "text",
      undefined,
      null,
      0,
      { code: 5 },
    ];
    const allowed = ["internal", "unavailable", "failed-precondition"];
    for (const phase of ["prePrepare", "postPrepare", "preRemove", "postRemove"] as const)
      for (const value of thrown) {
        const pipeline = pipelineWith(
          hook("bad", {
            [phase]: async () => {
              throw value;
            },
          }),
        );
        if (phase.endsWith("Remove")) await prepare(pipeline);
        const call = phase.endsWith("Remove")
          ? pipeline.remove({ key: key("a") }, callBy())
          : prepare(pipeline);
        const error: unknown = await call.then(
          () => undefined,
          (reason: unknown) => reason,
        );
        expect(isAeonError(error) && error.code, `${phase} ${String(value)}`).toSatisfy((code: string) =>
          (phase.endsWith("Remove") ? ["failed-precondition"] : allowed).includes(code),
        );
      }
  });

  test("failed-precondition and unavailable thrown by a hook pass unchanged", async () => {
    for (const code of ["failed-precondition", "unavailable"] as const) {
      const error = new AeonError(code, "OWN", "own");
      const pipeline = pipelineWith(
        hook("x", {
          preMounts: async () => {
            throw error;
          },
        }),
      );
      await prepare(pipeline);
      await expect(pipeline.mounts({ key: key("a") }, callBy())).rejects.toBe(error);
    }
  });

  test("a mapped message never ends with what containerd reads as another class", async () => {
    const pipeline = pipelineWith(
      hook("x", {
        preMounts: async () => {
          throw new AeonError("invalid-argument", "X", "it failed: conflict");
        },
      }),
    );
    await expect(pipeline.mounts({ key: key("a") }, callBy())).rejects.toThrow(
      /conflict \(hook x, preMounts\)$/,
    );
  });

  test("with policy ignore a call goes on through throws, garbage and hangs", async () => {
    const pipeline = pipelineWith(
      hook("sync", {
        onFailure: "ignore",
        prePrepare: () => {
          throw new Error("sync");
        },
      }),
      hook("garbage", {
        onFailure: "ignore",
        prePrepare: async () => ({ key: 7 }) as never,
        postPrepare: async () => [{ type: "overlay" }] as never,
      }),
      hook("value", { onFailure: "ignore", prePrepare: (() => 42) as never }),
      hook("hang", { onFailure: "ignore", timeoutMs: 10, prePrepare: never, postPrepare: never }),
    );
    expect(await prepare(pipeline)).toEqual([
      { type: "bind", source: "/memory/1/fs", target: "", options: ["rw", "rbind"] },
    ]);
  });

  test("with policy fail a hang refuses the call at the limit and aborts the function's signal", async () => {
    let aborted = false;
    const pipeline = pipelineWith(
      hook("hang", {
        timeoutMs: 20,
        preMounts: async (_, { signal }) => {
          signal.addEventListener("abort", () => (aborted = true));
          return await never();
        },
      }),
    );
    await prepare(pipeline);
    const startedAt = performance.now();
    await expect(pipeline.mounts({ key: key("a") }, callBy())).rejects.toMatchObject({ code: "unavailable" });
    expect(performance.now() - startedAt).toBeLessThan(1000);
    expect(aborted).toBe(true);
  });

  test("a hook that keeps hanging shows in health and is no longer waited for", async () => {
    const pipeline = pipelineWith(hook("hang", { timeoutMs: 1, onFailure: "ignore", preStat: never }));
    await prepare(pipeline);
    const stat = () => pipeline.stat({ key: key("a") }, callBy());
    await stat();
    expect(pipeline.health()).toEqual({ ok: true });
    for (let round = 0; round < 20; round += 1) await stat();
    expect(pipeline.health()).toMatchObject({ ok: false, reason: expect.stringContaining("hang (preStat)") });
    expect(pipeline.hooks()).toMatchObject([{ hook: "hang", function: "preStat", unsettled: 16 }]);
  });

  test("a late result is dropped and the hook is used again", async () => {
    const late = Promise.withResolvers<never>();
    let first = true;
    const pipeline = pipelineWith(
      hook("slow", {
        timeoutMs: 5,
        onFailure: "ignore",
        postStat: async () => {
          if (!first) return undefined;
          first = false;
          return await late.promise;
        },
      }),
    );
    await prepare(pipeline);
    const info = await pipeline.stat({ key: key("a") }, callBy());
    expect(pipeline.hooks()[0]?.unsettled).toBe(1);
    late.resolve({ ...info, name: key("other") } as never);
    await delay(1);
    expect(pipeline.hooks()[0]).toMatchObject({ unsettled: 0, timeoutsInARow: 1 });
    expect((await pipeline.stat({ key: key("a") }, callBy())).name).toBe("a");
    expect(pipeline.hooks()[0]?.timeoutsInARow).toBe(0);
  });

  test("a snapshot whose Prepare a hook fails afterwards is taken back", async () => {
    let fails = true;
    const pipeline = pipelineWith(
      hook("x", {
        postPrepare: async () => {
          if (fails) throw new Error("no");
          return undefined;
        },
      }),
    );
    await expect(prepare(pipeline)).rejects.toMatchObject({ code: "internal" });
    fails = false;
    await expect(prepare(pipeline)).resolves.toHaveLength(1);
  });

  test("a hook cannot turn a failure into a success, nor change what others hold", async () => {
    const seen: boolean[] = [];
    const pipeline = pipelineWith(
      hook("judge", { order: -1, postMounts: async (_, { ok }) => void seen.push(ok) }),
      hook("invent", { onFailure: "ignore", postMounts: async () => [] }),
      hook("mutate", {
        onFailure: "ignore",
        preStat: async (request) => {
          Object.assign(request, { key: "b" });
          return undefined;
        },
        postStat: async (_, outcome) => {
          if (outcome.ok) Object.assign(outcome.reply, { kind: "view" });
          return undefined;
        },
      }),
    );
    await expect(pipeline.mounts({ key: key("gone") }, callBy())).rejects.toMatchObject({
      code: "not-found",
    });
    expect(seen).toEqual([false]);
    await prepare(pipeline);
    expect(await pipeline.stat({ key: key("a") }, callBy())).toMatchObject({ name: "a", kind: "active" });
  });

  test("a huge value from a hook is garbage", async () => {
    const pipeline = pipelineWith(
      hook("huge", {
        prePrepare: async (request) => ({ ...request, labels: { big: "x".repeat(5 * 1024 * 1024) } }),
      }),
    );
    await expect(prepare(pipeline)).rejects.toMatchObject({
      code: "internal",
      message: expect.stringContaining("larger than"),
    });
  });
});

describe("cancellation", () => {
  test("a call canceled during a pre function ends at once and does not reach the backend", async () => {
    const stop = new AbortController();
    const started = Promise.withResolvers<undefined>();
    const pipeline = pipelineWith(
      hook("slow", { onFailure: "ignore", prePrepare: () => (started.resolve(undefined), never()) }),
    );
    const call = pipeline.prepare({ key: key("a"), labels: {} }, { caller: {}, signal: stop.signal });
    await started.promise;
    stop.abort(new DOMException("caller left", "AbortError"));
    await expect(call).rejects.toMatchObject({ code: "canceled" });
    await expect(pipeline.stat({ key: key("a") }, callBy())).rejects.toMatchObject({ code: "not-found" });
  });

  test("post functions run to their end for a canceled call, with an aborted signal", async () => {
    const stop = new AbortController();
    const seen: unknown[] = [];
    const backend = new MemorySnapshotter();
    const original = backend.prepare.bind(backend);
    backend.prepare = async (request) => {
      const reply = await original(request);
      stop.abort(new DOMException("caller left", "AbortError"));
      return reply;
    };
    const pipeline = createHookPipeline({ backend });
    pipeline.register(
      hook("book", {
        postPrepare: async (_, outcome, { signal }) => {
          await Promise.resolve();
          seen.push(outcome.ok, signal.aborted);
          return undefined;
        },
      }),
    );
    await pipeline.prepare({ key: key("a"), labels: {} }, { caller: {}, signal: stop.signal });
    expect(seen).toEqual([true, true]);
  });
});

const names = async (infos: AsyncIterable<SnapshotInfo>) =>
  (await Array.fromAsync(infos)).map(({ name }) => name as string);

const wrapping = (
  wrap: (infos: AsyncIterable<SnapshotInfo>) => AsyncIterable<SnapshotInfo>,
  parts: Partial<SnapshotHook> = {},
) =>
  hook("wrap", {
    postList: async (_, outcome) => (outcome.ok ? wrap(outcome.reply) : undefined),
    ...parts,
  });

const garbage = (onFailure: "ignore" | "fail") =>
  wrapping(
    async function* (infos) {
      yield { name: 1 } as never;
      yield* infos;
    },
    { onFailure },
  );

const listed = async (...hooks: SnapshotHook[]): Promise<string[]> => {
  const pipeline = pipelineWith(...hooks);
  for (const name of ["a", "b", "c"]) await prepare(pipeline, name);
  return await names(await pipeline.list({ filters: [] }, callBy()));
};

describe("list", () => {
  test("a hook may filter the stream, or leave it alone", async () => {
    const without = wrapping(async function* (infos) {
      for await (const info of infos) if (info.name !== key("b")) yield info;
    });
    expect(await listed(without)).toEqual(["a", "c"]);
    expect(await listed(hook("none", { postList: async () => undefined }))).toEqual(["a", "b", "c"]);
  });

  test("a hook that reads the stream and then fails or forgets it does not shorten the list", async () => {
    const read = hook("read", {
      onFailure: "ignore",
      postList: async (_, outcome) => {
        if (outcome.ok) for await (const info of outcome.reply) if (info.name !== "") break;
        return undefined;
      },
    });
    expect(await listed(read)).toEqual(["a", "b", "c"]);
    const fail = {
      ...read,
      postList: async (...given: Parameters<NonNullable<SnapshotHook["postList"]>>) => {
        await read.postList?.(...given);
        throw new Error("after reading");
      },
    };
    expect(await listed(fail)).toEqual(["a", "b", "c"]);
    await expect(listed({ ...fail, onFailure: "fail" })).rejects.toMatchObject({ code: "internal" });
  });

  test("garbage in the stream is dropped or fails the call, by policy", async () => {
    expect(await listed(garbage("ignore"))).toEqual(["a", "b", "c"]);
    await expect(listed(garbage("fail"))).rejects.toMatchObject({ code: "internal" });
  });

  test("a stream that hangs or throws ends the call with the right code", async () => {
    const hanging = wrapping(
      async function* (infos) {
        yield* infos;
        await never();
      },
      { timeoutMs: 20 },
    );
    await expect(listed(hanging)).rejects.toMatchObject({ code: "unavailable" });
    const throwing = wrapping(async function* (infos) {
      yield* infos;
      throw new AeonError("not-found", "X", "nothing");
    });
    await expect(listed(throwing)).rejects.toMatchObject({ code: "internal" });
  });

  test("the time of the stream below does not count, and its errors pass", async () => {
    const backend = new MemorySnapshotter();
    backend.list = async () =>
      (async function* () {
        await delay(60);
        yield* [];
        throw new AeonError("unavailable", "BELOW", "backend gone");
      })();
    const pipeline = createHookPipeline({ backend });
    pipeline.register(
      wrapping(
        async function* (infos) {
          yield* infos;
        },
        { timeoutMs: 20 },
      ),
    );
    await expect(names(await pipeline.list({ filters: [] }, callBy()))).rejects.toMatchObject({
      reason: "BELOW",
    });
  });

  test("a caller that stops reading ends the stream below", async () => {
    let ended = false;
    const backend = new MemorySnapshotter();
    const all = backend.list.bind(backend);
    backend.list = async (request) => {
      const infos = await all(request);
      return (async function* () {
        try {
          yield* infos;
        } finally {
          ended = true;
        }
      })();
    };
    const pipeline = createHookPipeline({ backend });
    pipeline.register(
      wrapping(async function* (infos) {
        yield* infos;
      }),
    );
    await prepare(pipeline, "a");
    await prepare(pipeline, "b");
    for await (const _ of await pipeline.list({ filters: [] }, callBy())) break;
    expect(ended).toBe(true);
  });
});
