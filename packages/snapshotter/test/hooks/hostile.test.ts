import { AeonError, type SnapshotHook, type SnapshotOperation } from "@aeon/core";
import { containerdVersions } from "@aeon/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startNode, type TestNode } from "../support/node.ts";

const operations: readonly SnapshotOperation[] = [
  "prepare",
  "view",
  "mounts",
  "commit",
  "remove",
  "stat",
  "update",
  "list",
  "usage",
  "cleanup",
];

/** A hook that does the same in every function it may have. */
function everywhere(name: string, act: () => unknown): SnapshotHook {
  const functions = operations.flatMap((operation) => {
    const suffix = `${operation[0]?.toUpperCase()}${operation.slice(1)}`;
    return [`pre${suffix}`, `post${suffix}`].map((called): [string, unknown] => [called, act]);
  });
  return { ...Object.fromEntries(functions), name, timeoutMs: 20, onFailure: "ignore" };
}

describe.each(containerdVersions)("hostile hooks before containerd %s", (version) => {
  let node: TestNode;
  beforeAll(async () => {
    node = await startNode({ version });
  });
  afterAll(() => node[Symbol.asyncDispose]());

  /** Runs `true` in a container of its own; the exit code. */
  async function run(id: string): Promise<number> {
    const container = await node.client.createContainer(id, {
      image: node.image,
      snapshotter: "aeon",
      args: ["true"],
    });
    try {
      const task = await container.newTask();
      await task.start();
      const { code } = await task.wait();
      await task.delete();
      return code;
    } finally {
      await container.delete({ snapshot: true });
    }
  }

  test("what ignored hooks throw, return, keep or allocate does not stop a container", async () => {
    const hostile: Readonly<Record<string, () => unknown>> = {
      throws: () => {
        throw new Error("sync");
      },
      rejects: () => Promise.reject(new AeonError("not-found", "X", "there is no such snapshot")),
      nothing: () => null,
      garbage: async () => ({ key: 1, labels: [], [Symbol.asyncIterator]: 0 }),
      "not-a-promise": () => 42,
      // eslint-disable-next-line unicorn/no-thenable -- what a hook must not return
      thenable: () => ({ then: 1 }),
      trap: async () =>
        new Proxy(
          {},
          {
            get: () => {
              throw new Error("trap");
            },
            ownKeys: () => {
              throw new Error("trap");
            },
          },
        ),
      hangs: () => new Promise(() => {}),
      allocates: async () => ({
        key: "x".repeat(16 * 1024 * 1024),
        labels: {},
        filler: Array.from({ length: 1_000_000 }),
      }),
      "many-labels": async () => ({
        key: "",
        labels: Object.fromEntries(Array.from({ length: 20_000 }, (_, index) => [`l${index}`, "v"])),
      }),
    };
    using handles = new DisposableStack();
    for (const [name, act] of Object.entries(hostile))
      handles.use(node.runtime.pipeline.register(everywhere(name, act)));
    for (const id of ["one", "two", "three"]) expect(await run(id)).toBe(0);
    expect(node.runtime.pipeline.health()).toMatchObject({
      ok: false,
      reason: expect.stringContaining("hangs"),
    });
    expect(
      node.runtime.pipeline.hooks().every(({ hook, unsettled }) => hook === "hangs" || unsettled === 0),
    ).toBe(true);
  });

  test("a hook that must succeed refuses the container with a clear error; without it all is well", async () => {
    const refusals = [
      {
        hook: { preMounts: () => new Promise<never>(() => {}) },
        codes: ["unavailable"],
        text: "no result within 50 ms",
      },
      {
        hook: {
          preMounts: () => Promise.reject(new AeonError("not-found", "X", "the backup is gone")),
        },
        // containerd 1.7 knows no internal errors.
        codes: ["internal", "unknown"],
        text: "the backup is gone",
      },
    ];
    for (const [index, { hook, codes, text }] of refusals.entries()) {
      using _ = node.runtime.pipeline.register({ ...hook, name: "strict", timeoutMs: 50, onFailure: "fail" });
      // Mounts is asked for when the task is made.
      const refused = run(`refused-${index}`);
      await expect(refused).rejects.toMatchObject({
        code: expect.toBeOneOf(codes),
        message: expect.stringContaining(text),
      });
    }
    expect(await run("afterwards")).toBe(0);
    expect(node.runtime.pipeline.health()).toEqual({ ok: true });
  });
});
