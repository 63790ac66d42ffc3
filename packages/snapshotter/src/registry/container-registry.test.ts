import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AeonError,
  containerId,
  Lifetime,
  namespace,
  type ContainerState,
  type SnapshotKey,
  type Snapshotter,
} from "@aeon/core";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { callBy, key } from "../../test/support/call.ts";
import { MemorySnapshotter } from "../../test/support/memory-snapshotter.ts";
import { ScriptedSource } from "../../test/support/scripted-source.ts";
import { createHookPipeline } from "../hooks/pipeline.ts";
import { openContainerRegistry, type OpenContainerRegistry } from "./container-registry.ts";
import { mayMove } from "./state.ts";

const k8s = namespace("k8s.io");
const podLabels = {
  "io.kubernetes.pod.name": "web",
  "io.kubernetes.pod.namespace": "shop",
  "io.kubernetes.pod.uid": "u1",
  "io.kubernetes.container.name": "main",
};
const second = 1_000_000_000n;

let folder = "";
let life = new Lifetime();
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "aeon-registry-"));
  life = new Lifetime();
});
afterEach(async () => {
  await life[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

interface Node {
  readonly backend: MemorySnapshotter;
  readonly source: ScriptedSource;
  readonly registry: OpenContainerRegistry;
  readonly snapshotter: Snapshotter;
  readonly clock: { now: bigint };
}

const openNode = (earlier: Partial<Node> = {}): Node => {
  const backend = earlier.backend ?? new MemorySnapshotter();
  const source = earlier.source ?? new ScriptedSource();
  const clock = earlier.clock ?? { now: 1000n * second };
  const path = join(folder, "registry.db");
  const registry = openContainerRegistry({ path, backend, source, now: () => (clock.now += 1000n) });
  life.use(registry);
  const pipeline = createHookPipeline({ backend });
  for (const hook of registry.hooks) pipeline.register(hook);
  return { backend, source, registry, snapshotter: pipeline, clock };
};

const prepare = (node: Node, name: string) =>
  node.snapshotter.prepare({ key: key(name), labels: {} }, callBy());

const learn = (node: Node, name: string) => node.registry.learn(key(name), new AbortController().signal);

const entryOf = (node: Node, id: string) => node.registry.byContainer(k8s, containerId(id));

const keys = (node: Node): SnapshotKey[] => node.registry.list().map(({ snapshotKey }) => snapshotKey);

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
    const registry = life.use(
      openContainerRegistry({ path: join(folder, "own.db"), backend, namespaces: [k8s] }),
    );
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

describe("identity", () => {
  test("is learnt once containerd has the record, and not again", async () => {
    const node = openNode();
    await prepare(node, "k8s.io/7/c1");
    expect(await learn(node, "k8s.io/7/c1")).not.toHaveProperty("containerId");
    node.source.put(k8s, "c1", podLabels);
    expect(await learn(node, "k8s.io/7/c1")).toMatchObject({
      containerId: "c1",
      image: "docker.io/library/busybox:latest",
      pod: { namespace: "shop", name: "web", uid: "u1", container: "main" },
    });
    const { gets } = node.source;
    await learn(node, "k8s.io/7/c1");
    expect(node.source.gets).toBe(gets);
    expect(node.registry.byContainer(k8s, containerId("c1"))?.snapshotKey).toBe("k8s.io/7/c1");
  });

  test("a sandbox is told from a container", async () => {
    const node = openNode();
    await prepare(node, "k8s.io/7/pause");
    const { "io.kubernetes.container.name": _, ...labels } = podLabels;
    node.source.put(k8s, "pause", { ...labels, "io.cri-containerd.kind": "sandbox" });
    expect(await learn(node, "k8s.io/7/pause")).toMatchObject({ sandbox: true, pod: { container: "POD" } });
  });

  test("a container whose snapshot is not named as itself is found by listing, at most every other second", async () => {
    const node = openNode();
    node.source.put(k8s, "id", {}, "snap");
    await prepare(node, "k8s.io/7/snap");
    expect(await learn(node, "k8s.io/7/snap")).toMatchObject({ containerId: "id" });
    for (const name of ["x", "y"]) {
      await prepare(node, `k8s.io/8/${name}`);
      await learn(node, `k8s.io/8/${name}`);
    }
    expect(node.source.lists).toBe(1);
  });

  test("questions for the same key share one look-up", async () => {
    const node = openNode();
    await prepare(node, "k8s.io/7/c1");
    node.source.put(k8s, "c1");
    await Promise.all(Array.from({ length: 10 }, () => learn(node, "k8s.io/7/c1")));
    expect(node.source.gets).toBe(1);
  });

  test("containerd away or hanging costs a bounded time and no error", async () => {
    const node = openNode();
    await prepare(node, "k8s.io/7/c1");
    node.source.trouble = new AeonError("unavailable", "X", "away");
    expect(await learn(node, "k8s.io/7/c1")).not.toHaveProperty("containerId");
    node.source.trouble = new Promise(() => {});
    const startedAt = performance.now();
    expect(await learn(node, "k8s.io/7/c1")).not.toHaveProperty("containerId");
    expect(performance.now() - startedAt).toBeLessThan(2000);
  });

  test("ends when the caller's signal does", async () => {
    const node = openNode();
    await prepare(node, "k8s.io/7/c1");
    node.source.trouble = new Promise(() => {});
    const stop = new AbortController();
    const learning = node.registry.learn(key("k8s.io/7/c1"), stop.signal);
    stop.abort(new Error("left"));
    await expect(learning).rejects.toThrow("left");
  });

  test("Mounts without a lease asks containerd in the background, with a lease it does not", async () => {
    const node = openNode();
    await prepare(node, "k8s.io/7/c1");
    await node.snapshotter.mounts({ key: key("k8s.io/7/c1") }, callBy({ namespace: "k8s.io", lease: "l" }));
    expect(node.source.gets).toBe(0);
    node.source.put(k8s, "c1", podLabels);
    await node.snapshotter.mounts({ key: key("k8s.io/7/c1") }, callBy({ namespace: "k8s.io" }));
    await vi.waitFor(() => expect(node.registry.byContainer(k8s, containerId("c1"))).toBeDefined());
  });

  test("an id used again belongs to the new snapshot, its predecessor keeps its own identity", async () => {
    const node = openNode();
    node.source.put(k8s, "same", { generation: "1" });
    await prepare(node, "k8s.io/1/same");
    await learn(node, "k8s.io/1/same");
    await node.registry.transition(key("k8s.io/1/same"), "backing-up");
    await prepare(node, "k8s.io/5/same");
    node.source.put(k8s, "same", { generation: "2" });
    expect(await learn(node, "k8s.io/1/same")).toMatchObject({ labels: { generation: "1" } });
    expect(await learn(node, "k8s.io/5/same")).toMatchObject({ labels: { generation: "2" } });
    expect(node.registry.byContainer(k8s, containerId("same"))?.snapshotKey).toBe("k8s.io/5/same");
  });

  test("a snapshot from before aeon is learnt too", async () => {
    const node = openNode();
    node.source.put(k8s, "old", podLabels);
    expect(await learn(node, "k8s.io/3/old")).toMatchObject({ containerId: "old", pod: { name: "web" } });
    expect(await learn(node, "k8s.io/4/stranger")).toBeUndefined();
  });
});

describe("events", () => {
  test("bring identity, start, memory and exit", async () => {
    const node = openNode();
    await prepare(node, "k8s.io/7/snap");
    const id = node.source.put(k8s, "c1", podLabels, "snap");
    node.source.emit({ kind: "created", namespace: k8s, id }, { kind: "started", namespace: k8s, id });
    await vi.waitFor(() => expect(entryOf(node, "c1")).toMatchObject({ state: "ready", pod: { uid: "u1" } }));
    const at = node.clock.now + second;
    node.source.emit(
      { kind: "out-of-memory", namespace: k8s, id },
      { kind: "exited", namespace: k8s, id, code: 137, at },
    );
    await vi.waitFor(() =>
      expect(entryOf(node, "c1")).toMatchObject({ outOfMemory: true, exit: { code: 137, at } }),
    );
  });

  test("a late exit of an earlier container does not reach the one that took its id", async () => {
    const node = openNode();
    node.source.put(k8s, "same");
    await prepare(node, "k8s.io/1/same");
    await learn(node, "k8s.io/1/same");
    await node.registry.transition(key("k8s.io/1/same"), "backing-up");
    const diedAt = node.clock.now;
    node.clock.now += second;
    await prepare(node, "k8s.io/2/same");
    await learn(node, "k8s.io/2/same");
    node.source.emit({ kind: "exited", namespace: k8s, id: containerId("same"), code: 1, at: diedAt });
    await vi.waitFor(() => expect(node.registry.bySnapshot(key("k8s.io/1/same"))?.exit?.code).toBe(1));
    expect(node.registry.bySnapshot(key("k8s.io/2/same"))).not.toHaveProperty("exit");
  });

  test("a snapshot removed at containerd is the last chance to learn whose it was", async () => {
    const node = openNode();
    await prepare(node, "k8s.io/7/c1");
    node.source.put(k8s, "c1", podLabels);
    node.source.emit({ kind: "snapshot-removed", namespace: k8s, clientKey: "c1" });
    await vi.waitFor(() => expect(entryOf(node, "c1")?.pod?.uid).toBe("u1"));
  });

  test("one that cannot be applied does not stop the others", async () => {
    const node = openNode();
    await prepare(node, "k8s.io/7/c1");
    const id = node.source.put(k8s, "c1");
    node.source.trouble = new AeonError("unavailable", "X", "away");
    node.source.emit({ kind: "created", namespace: k8s, id });
    await vi.waitFor(() => expect(node.source.gets).toBe(1));
    node.source.trouble = undefined;
    node.source.emit({ kind: "updated", namespace: k8s, id });
    await vi.waitFor(() => expect(entryOf(node, "c1")).toBeDefined());
  });
});

describe("reconciliation", () => {
  test("a gap in the events brings what was missed", async () => {
    const node = openNode();
    await prepare(node, "k8s.io/7/c1");
    const id = node.source.put(k8s, "c1", podLabels);
    node.source.putTask(k8s, { id, running: false, exit: { code: 3, at: node.clock.now + second } });
    node.source.emit({ kind: "gap" });
    await vi.waitFor(() =>
      expect(node.registry.byContainer(k8s, id)).toMatchObject({ exit: { code: 3 }, pod: { uid: "u1" } }),
    );
  });

  test("finds snapshots made without hooks, forgets those that went, after a grace", async () => {
    const node = openNode();
    await node.backend.prepare({ key: key("k8s.io/7/found"), labels: {} });
    await prepare(node, "k8s.io/7/gone");
    await prepare(node, "k8s.io/7/pending");
    await node.registry.transition(key("k8s.io/7/pending"), "backing-up");
    await node.backend.remove({ key: key("k8s.io/7/gone") });
    await node.backend.remove({ key: key("k8s.io/7/pending") });
    expect(await node.registry.reconcile()).toMatchObject({ added: 1, removed: 2, forgotten: 0 });
    expect(node.registry.bySnapshot(key("k8s.io/7/found"))?.upperdir).toBe("/memory/1/fs");
    node.clock.now += 601n * second;
    expect(await node.registry.reconcile()).toMatchObject({ added: 0, removed: 0, forgotten: 1 });
    expect(keys(node).toSorted()).toEqual(["k8s.io/7/found", "k8s.io/7/pending"]);
    await node.registry.transition(key("k8s.io/7/pending"), "backed-up");
    await node.registry.reconcile();
    expect(keys(node)).toEqual(["k8s.io/7/found"]);
  });

  test("a snapshot thought gone that is there again keeps what is known of it", async () => {
    const node = openNode();
    await prepare(node, "k8s.io/7/c1");
    node.source.put(k8s, "c1", podLabels);
    await learn(node, "k8s.io/7/c1");
    const list = node.backend.list.bind(node.backend);
    node.backend.list = async () => (async function* () {})();
    await node.registry.reconcile();
    node.backend.list = list;
    await node.registry.reconcile();
    node.clock.now += 601n * second;
    expect(await node.registry.reconcile()).toMatchObject({ forgotten: 0 });
    expect(node.registry.bySnapshot(key("k8s.io/7/c1"))?.pod?.uid).toBe("u1");
  });

  test("a failed container is remembered for a week", async () => {
    const node = openNode();
    await prepare(node, "k8s.io/7/c1");
    await node.registry.transition(key("k8s.io/7/c1"), "failed", "store is full");
    await node.snapshotter.remove({ key: key("k8s.io/7/c1") }, callBy());
    node.clock.now += 6n * 24n * 3600n * second;
    expect(await node.registry.reconcile()).toMatchObject({ forgotten: 0 });
    expect(node.registry.bySnapshot(key("k8s.io/7/c1"))?.failure).toBe("store is full");
    node.clock.now += 2n * 24n * 3600n * second;
    expect(await node.registry.reconcile()).toMatchObject({ forgotten: 1 });
  });

  test("containerd away leaves the rest of the pass intact", async () => {
    const node = openNode();
    node.source.trouble = new AeonError("unavailable", "X", "away");
    await node.backend.prepare({ key: key("k8s.io/7/c1"), labels: {} });
    expect(await node.registry.reconcile()).toMatchObject({ added: 1, containerd: false });
  });

  test("passes asked for during a pass share the next one", async () => {
    const node = openNode();
    let lists = 0;
    const list = node.backend.list.bind(node.backend);
    node.backend.list = async (request) => ((lists += 1), await list(request));
    await Promise.all(Array.from({ length: 10 }, () => node.registry.reconcile()));
    expect(lists).toBe(2);
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
