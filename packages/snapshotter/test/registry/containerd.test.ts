import { existsSync } from "node:fs";
import { join } from "node:path";
import { containerId, namespace, type ContainerEntry } from "@aeon/core";
import { containerdVersions } from "@aeon/testkit";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { callBy, key } from "../support/call.ts";
import { startNode, type TestNode } from "../support/node.ts";

const space = namespace("default");
const within = { timeout: 20_000, interval: 50 };
const podLabels = {
  "io.kubernetes.pod.name": "web",
  "io.kubernetes.pod.namespace": "shop",
  "io.kubernetes.pod.uid": "u1",
  "io.kubernetes.container.name": "main",
};

describe.each(containerdVersions)("registry with containerd %s", (version) => {
  let node: TestNode;
  beforeAll(async () => {
    node = await startNode({ version });
  });
  afterAll(() => node[Symbol.asyncDispose]());

  const entryOf = (id: string): ContainerEntry | undefined =>
    node.runtime.containers.byContainer(space, containerId(id));
  const create = (id: string, args: readonly string[]) =>
    node.client.createContainer(id, { image: node.image, snapshotter: "aeon", args, labels: podLabels });

  test("unpacked layers are no containers", async () => {
    const infos = await Array.fromAsync(await node.runtime.backend.list({ filters: [] }, callBy()));
    expect(infos.filter(({ kind }) => kind === "committed").length).toBeGreaterThan(0);
    expect(node.runtime.containers.list()).toEqual([]);
  });

  test("a container is known from its record to the end of its snapshot", async () => {
    const container = await create("c1", ["sh", "-c", "echo hi > /made; exit 3"]);
    await vi.waitFor(() => expect(entryOf("c1")).toBeDefined(), within);
    expect(entryOf("c1")).toMatchObject({
      namespace: "default",
      image: node.image,
      state: "preparing",
      pod: { namespace: "shop", name: "web", uid: "u1", container: "main" },
    });
    const task = await container.newTask();
    await task.start();
    expect((await task.wait()).code).toBe(3);
    await vi.waitFor(
      () => expect(entryOf("c1")).toMatchObject({ state: "ready", exit: { code: 3 } }),
      within,
    );
    const entry = entryOf("c1");
    expect(existsSync(join(entry?.upperdir ?? "", "made"))).toBe(true);
    const now = BigInt(Date.now()) * 1_000_000n;
    expect(now - (entry?.exit?.at ?? 0n)).toBeLessThan(60_000_000_000n);
    await task.delete();
    await container.delete({ snapshot: true });
    await node.collectGarbage();
    await vi.waitFor(() => expect(entryOf("c1")).toBeUndefined(), within);
  });

  test("an id used again is another container", async () => {
    for (const word of ["first", "second"]) {
      const container = await create("again", ["sh", "-c", `echo ${word} > /word`]);
      const task = await container.newTask();
      await task.start();
      await task.wait();
      await vi.waitFor(() => expect(entryOf("again")?.exit).toBeDefined(), within);
      expect(existsSync(join(entryOf("again")?.upperdir ?? "", "word"))).toBe(true);
      await task.delete();
      await container.delete({ snapshot: true });
    }
    await node.collectGarbage();
    await vi.waitFor(() => expect(entryOf("again")).toBeUndefined(), within);
  });

  test("containers that are gone in a moment are known all the same", async () => {
    const { runtime, client } = node;
    const removed: (string | undefined)[] = [];
    using _ = runtime.pipeline.register({
      name: "who-goes",
      timeoutMs: 5000,
      onFailure: "fail",
      preRemove: async ({ key: name }) => {
        removed.push(runtime.containers.bySnapshot(name)?.pod?.uid);
        return undefined;
      },
    });
    for (let index = 0; index < 5; index += 1) {
      const container = await create(`short-${index}`, ["true"]);
      const task = await container.newTask();
      await task.start();
      await task.wait();
      await task.delete();
      await client.container(`short-${index}`).delete({ snapshot: true });
    }
    await node.collectGarbage();
    expect(removed).toEqual(["u1", "u1", "u1", "u1", "u1"]);
  });

  test("learn asks for a record that no event has told of", async () => {
    await create("asked", ["true"]);
    const entry = node.runtime.containers.list().find((each) => each.snapshotKey.endsWith("/asked"));
    const snapshotKey = entry?.snapshotKey ?? key("");
    const learnt = await node.runtime.containers.learn(snapshotKey, new AbortController().signal);
    expect(learnt).toMatchObject({ containerId: "asked", pod: { uid: "u1" } });
    await node.client.container("asked").delete({ snapshot: true });
  });

  test("what happened while containerd or the snapshotter was down is found afterwards", async () => {
    const container = await create("gap", ["sh", "-c", "sleep 600 & wait"]);
    const task = await container.newTask();
    await task.start();
    await vi.waitFor(() => expect(entryOf("gap")?.state).toBe("ready"), within);
    await node.containerd.kill();

    const startedAt = performance.now();
    await node.runtime.pipeline.prepare({ key: key("default/900/meanwhile"), labels: {} }, callBy());
    await node.runtime.pipeline.mounts({ key: key("default/900/meanwhile") }, callBy());
    expect(performance.now() - startedAt).toBeLessThan(500);
    const signal = new AbortController().signal;
    expect(await node.runtime.containers.learn(key("default/900/meanwhile"), signal)).toMatchObject({
      state: "preparing",
    });
    await node.runtime.pipeline.remove({ key: key("default/900/meanwhile") }, callBy());

    await node.restartSnapshotter();
    expect(entryOf("gap")).toMatchObject({ state: "ready", pod: { uid: "u1" } });
    process.kill(task.pid, "SIGKILL");
    await node.containerd.start();
    // containerd drops a task that died while it was down; some releases keep its exit code.
    await vi.waitFor(() => expect(entryOf("gap")?.exit?.code).toBeOneOf([137, 255]), within);
    await container.task().then(
      (left) => left.delete(),
      (error: unknown) => expect(error).toMatchObject({ code: "not-found" }),
    );
    await container.delete({ snapshot: true });
    await node.collectGarbage();
    await vi.waitFor(() => expect(entryOf("gap")).toBeUndefined(), within);
  });
});
