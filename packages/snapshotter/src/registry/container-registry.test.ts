import { join } from "node:path";
import { AeonError, type ContainerState } from "@aeon/core";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { callBy, key } from "../../test/support/call.ts";
import { MemorySnapshotter } from "../../test/support/memory-snapshotter.ts";
import { k8s, learn, openNode, podLabels, prepare, testFolder } from "../../test/support/registry-node.ts";
import { createHookPipeline } from "../hooks/pipeline.ts";
import { openContainerRegistry } from "./container-registry.ts";
import { mayMove } from "./state.ts";

describe("snapshot operations", () => {
  test("an active snapshot of a container becomes an entry with its writable layer", async () => {
    const node = openNode();
    await prepare(node, "k8s.io/7/c1");
    expect(node.registry.bySnapshot(key("k8s.io/7/c1"))).toMatchObject({
      snapshotKey: "k8s.io/7/c1",
      namespace: "k8s.io",
      upperdir: "/memory/1/fs",
      state: "preparing",
      sandbox: false,
    });
  });

  test.each([
    "k8s.io/7/extract-581885902-FIzn sha256:00",
    "k8s.io/8/sha256:00-0-65536-remap",
    "k8s.io/9//var/lib/kubelet/volume",
    "plain",
    "a/b/c",
    "k8s.io//x",
  ])("%s is no container's", async (name) => {
    const node = openNode();
    await prepare(node, name);
    await node.snapshotter.view({ key: key("k8s.io/10/view"), labels: {} }, callBy());
    expect(node.registry.list()).toEqual([]);
  });

  test("a removed or committed snapshot takes its entry along, unless a backup of it is under way", async () => {
    const node = openNode();
    for (const id of ["a", "b", "c"]) await prepare(node, `k8s.io/7/${id}`);
    await node.registry.transition(key("k8s.io/7/b"), "backing-up");
    await node.snapshotter.remove({ key: key("k8s.io/7/a") }, callBy());
    await node.snapshotter.remove({ key: key("k8s.io/7/b") }, callBy());
    await node.snapshotter.commit({ key: key("k8s.io/7/c"), name: key("k8s.io/8/n"), labels: {} }, callBy());
    expect(node.registry.list().map(({ snapshotKey, state }) => [snapshotKey, state])).toEqual([
      ["k8s.io/7/b", "backing-up"],
    ]);
  });

  test("a refused removal keeps the entry", async () => {
    const node = openNode();
    await prepare(node, "k8s.io/7/a");
    node.backend.remove = async () => {
      throw new AeonError("failed-precondition", "X", "cannot remove");
    };
    await expect(node.snapshotter.remove({ key: key("k8s.io/7/a") }, callBy())).rejects.toThrow(
      "cannot remove",
    );
    expect(node.registry.list()).toHaveLength(1);
  });

  test("namespaces that are not looked after are left out", async () => {
    const backend = new MemorySnapshotter();
    await using registry = openContainerRegistry({
      path: join(testFolder(), "own.db"),
      backend,
      namespaces: [k8s],
    });
    const pipeline = createHookPipeline({ backend });
    for (const hook of registry.hooks) pipeline.register(hook);
    await pipeline.prepare({ key: key("default/1/a"), labels: {} }, callBy());
    await pipeline.prepare({ key: key("k8s.io/1/a"), labels: {} }, callBy());
    expect(registry.list().map(({ namespace: space }) => space)).toEqual(["k8s.io"]);
  });
});

describe("states", () => {
  test("any sequence of moves ends where the rules say, and is durable", async () => {
    const states = ["preparing", "restoring", "ready", "backing-up", "backed-up", "failed"] as const;
    const node = openNode();
    let count = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom(...states), { maxLength: 12 }), async (wanted) => {
        count += 1;
        const name = key(`k8s.io/${count}/c${count}`);
        await prepare(node, name);
        let expected: ContainerState = "preparing";
        for (const state of wanted) {
          const moved = await node.registry.transition(name, state, "because").then(
            (entry) => entry.state,
            (error: AeonError) => error.reason,
          );
          const allowed = mayMove(expected, state);
          expect(moved).toBe(allowed ? state : "CONTAINER_STATE_CONFLICT");
          expected = allowed ? state : expected;
        }
        const entry = node.registry.bySnapshot(name);
        expect(entry?.state).toBe(expected);
        expect(entry?.failure).toBe(expected === "failed" ? "because" : undefined);
      }),
      { numRuns: 30 },
    );
  });

  test("of many moves at once each sees the one before", async () => {
    const node = openNode();
    const name = key("k8s.io/1/a");
    await prepare(node, name);
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, (_, index) =>
        node.registry.transition(name, index % 2 === 0 ? "backing-up" : "backed-up"),
      ),
    );
    expect(results.every(({ status }) => status === "fulfilled")).toBe(true);
    expect(node.registry.bySnapshot(name)?.state).toBe("backed-up");
    await expect(node.registry.transition(name, "restoring")).rejects.toMatchObject({
      code: "failed-precondition",
    });
  });

  test("an unknown snapshot is not-found", async () => {
    const { registry } = openNode();
    await expect(registry.transition(key("k8s.io/1/none"), "ready")).rejects.toMatchObject({
      code: "not-found",
    });
  });
});

describe("restarts", () => {
  test("what is known survives; what was not yet written is found again", async () => {
    const node = openNode();
    await prepare(node, "k8s.io/7/c1");
    node.source.put(k8s, "c1", podLabels);
    await learn(node, "k8s.io/7/c1");
    await node.registry.transition(key("k8s.io/7/c1"), "ready");
    const before = node.registry.list();
    await node.registry[Symbol.asyncDispose]();
    await node.backend.prepare({ key: key("k8s.io/8/c2"), labels: {} });
    const again = openNode(node);
    expect(again.registry.list()).toEqual(before);
    again.source.emit({ kind: "gap" });
    await vi.waitFor(() => expect(again.registry.list()).toHaveLength(2));
  });

  test("use after the end is refused, not ignored", async () => {
    const node = openNode();
    await node.registry[Symbol.asyncDispose]();
    expect(() => node.registry.list()).toThrow(/closed/);
    await expect(prepare(node, "k8s.io/7/c1")).resolves.toHaveLength(1);
  });
});
