import { setTimeout as delay } from "node:timers/promises";
import { AeonError, type SnapshotHook, type SnapshotInfo } from "@aeon/core";
import { describe, expect, test } from "vitest";
import { callBy, key } from "../../test/support/call.ts";
import { hook, never, pipelineWith, prepare } from "../../test/support/hooks.ts";
import { MemorySnapshotter } from "../../test/support/memory-snapshotter.ts";
import { createHookPipeline } from "./pipeline.ts";

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
