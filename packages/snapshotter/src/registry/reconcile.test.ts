import { AeonError } from "@aeon/core";
import { describe, expect, test, vi } from "vitest";
import { callBy, key } from "../../test/support/call.ts";
import {
  k8s,
  keysOf,
  learn,
  openNode,
  podLabels,
  prepare,
  second,
} from "../../test/support/registry-node.ts";

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
    expect(keysOf(node).toSorted()).toEqual(["k8s.io/7/found", "k8s.io/7/pending"]);
    await node.registry.transition(key("k8s.io/7/pending"), "backed-up");
    await node.registry.reconcile();
    expect(keysOf(node)).toEqual(["k8s.io/7/found"]);
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
