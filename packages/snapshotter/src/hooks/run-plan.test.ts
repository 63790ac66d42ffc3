import { setTimeout as delay } from "node:timers/promises";
import { AeonError, isAeonError } from "@aeon/core";
import { describe, expect, test } from "vitest";
import { callBy, key } from "../../test/support/call.ts";
import { hook, never, pipelineWith, prepare } from "../../test/support/hooks.ts";
import { MemorySnapshotter } from "../../test/support/memory-snapshotter.ts";
import { createHookPipeline } from "./pipeline.ts";

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
