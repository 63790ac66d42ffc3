import { AeonError, containerId } from "@aeon/core";
import { describe, expect, test, vi } from "vitest";
import { key } from "../../test/support/call.ts";
import {
  entryOf,
  k8s,
  learn,
  openNode,
  podLabels,
  prepare,
  second,
} from "../../test/support/registry-node.ts";

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
