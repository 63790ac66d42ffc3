import { AeonError, containerId } from "@aeon/core";
import { describe, expect, test, vi } from "vitest";
import { callBy, key } from "../../test/support/call.ts";
import { k8s, learn, openNode, podLabels, prepare } from "../../test/support/registry-node.ts";

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

  test("what a runtime announces is known at once, and kept until containerd tells more", async () => {
    const node = openNode();
    await prepare(node, "k8s.io/7/c1");
    const pod = { namespace: "shop", name: "web", uid: "u1", container: "main" };
    node.registry.announce({ namespace: k8s, id: containerId("c1"), labels: { a: "b" }, pod });
    node.registry.announce({ namespace: k8s, id: containerId("unknown"), labels: {}, pod });
    expect(node.registry.ofPod("u1")).toMatchObject([
      { snapshotKey: "k8s.io/7/c1", pod, labels: { a: "b" } },
    ]);
    expect(node.registry.list()).toHaveLength(1);
    node.source.put(k8s, "c1", { c: "d" });
    expect(await learn(node, "k8s.io/7/c1")).toMatchObject({ containerId: "c1", labels: { c: "d" }, pod });
    node.registry.announce({ namespace: k8s, id: containerId("c1"), labels: { e: "f" }, pod });
    expect(node.registry.list()).toMatchObject([{ labels: { c: "d" } }]);
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
