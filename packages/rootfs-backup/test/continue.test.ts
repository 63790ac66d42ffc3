import { renameSync, truncateSync, writeFileSync } from "node:fs";
import { silentLogger, type BackupId, type Labels } from "@aeon/core";
import { difference } from "@aeon/testkit";
import { expect, test } from "vitest";
import { keyLabel } from "../src/index.ts";
import { enabled, makeImage, mess, removeContainer, runContainer, type Ran } from "./containers.ts";
import { call, keyOf, startNode } from "./node.ts";
import { layout } from "../src/store/layout.ts";
import { scratch } from "./scratch.ts";

const keyed: Labels = { ...enabled, [keyLabel]: "web" };
const never: Labels = { ...keyed, "backup.container.io/restore": "never" };

const podOf = (uid: string): Labels => ({
  "io.kubernetes.pod.name": "web-0",
  "io.kubernetes.pod.namespace": "shop",
  "io.kubernetes.pod.uid": uid,
});

test("a workload's files follow it from node to node, cycle after cycle", { timeout: 240_000 }, async () => {
  using dir = scratch();
  const config = { store: { path: dir.at("store") } } as const;
  await using first = await startNode({ root: dir.at("first"), config });
  await using second = await startNode({ root: dir.at("second"), config });
  const parents = [await makeImage(first, dir), await makeImage(second, dir)];
  let last: Ran | undefined;
  for (let step = 0; step < 6; step += 1) {
    const node = step % 2 === 0 ? first : second;
    const parent = parents[step % 2];
    if (parent === undefined) throw new Error("there are two images");
    const ran = await runContainer(node, dir, {
      id: `web-${step}`,
      parent,
      labels: keyed,
      script: mess(step),
    });
    expect(difference(last?.after ?? ran.before, ran.before)).toEqual([]);
    await removeContainer(node, ran);
    last = ran;
  }
  const clean = await runContainer(first, dir, {
    id: "clean",
    ...firstOf(parents),
    labels: never,
    script: "true",
  });
  expect([...clean.before.keys()]).not.toContain("./new-5");
});

const firstOf = <T>([parent]: readonly T[]) => ({ ...(parent !== undefined && { parent }) });

test(
  "a pod that comes back under its name has its files, also right after the old one went",
  { timeout: 60_000 },
  async () => {
    using dir = scratch();
    await using node = await startNode({ root: dir.at("node") });
    const parent = await makeImage(node, dir);
    const run = async (uid: string, script: string): Promise<Ran> => {
      const sandbox = { ...podOf(uid), ...enabled, "io.cri-containerd.kind": "sandbox" };
      await runContainer(node, dir, { id: `pause-${uid}`, parent, labels: sandbox, script: "true" });
      const labels = { ...podOf(uid), "io.kubernetes.container.name": "app" };
      return await runContainer(node, dir, { id: `app-${uid}`, parent, labels, script });
    };
    const before = await run("u-1", "echo 1 > a; rm -r opt");
    await node.snapshotter.remove({ key: before.key }, call);
    const after = await run("u-2", "true");
    expect(difference(before.after, after.before)).toEqual([]);
  },
);

test(
  "while the store cannot be asked no workload starts without its files",
  { timeout: 120_000 },
  async () => {
    using dir = scratch();
    const store = { path: dir.at("store") };
    let left: Ran;
    {
      await using node = await startNode({ root: dir.at("first"), config: { store } });
      left = await runContainer(node, dir, { id: "one", labels: keyed, script: "echo 1 > a" });
      await removeContainer(node, left);
    }
    renameSync(dir.at("store"), dir.at("away"));
    writeFileSync(dir.at("store"), "a file where the store's folder should be");
    {
      await using node = await startNode({ root: dir.at("second"), config: { store } });
      const start = (id: string, labels: Labels) => runContainer(node, dir, { id, labels, script: "true" });
      await expect(start("waits", keyed)).rejects.toMatchObject({
        code: "unavailable",
        reason: "RESTORE_UNAVAILABLE",
      });
      await expect(start("never", never)).resolves.toBeDefined();
      await expect(start("plain", enabled)).resolves.toBeDefined();
    }
    {
      const config = { store, "restore-unavailable": "fresh" } as const;
      await using node = await startNode({ root: dir.at("third"), config });
      const ran = await runContainer(node, dir, { id: "fresh", labels: keyed, script: "true" });
      expect([...ran.before.keys()]).not.toContain("./a");
    }
    renameSync(dir.at("store"), dir.at("file"));
    renameSync(dir.at("away"), dir.at("store"));
    await using node = await startNode({ root: dir.at("second"), config: { store } });
    const ran = await runContainer(node, dir, { id: "again", labels: keyed, script: "true" });
    expect(difference(left.after, ran.before)).toEqual([]);
  },
);

test("what was fetched ahead starts at once", { timeout: 60_000 }, async () => {
  using dir = scratch();
  const config = { store: { path: dir.at("store") } } as const;
  const chain = { tenant: "default", workload: "web", container: "main" };
  {
    await using node = await startNode({ root: dir.at("first"), config });
    const ran = await runContainer(node, dir, {
      id: "one",
      labels: keyed,
      script: "mkdir d; seq 2000 | sed s,^,d/, | xargs touch",
    });
    await removeContainer(node, ran);
  }
  await using node = await startNode({ root: dir.at("second"), config });
  expect(await node.backups.prefetch({ ...chain, workload: "other" }, call.signal)).toBeUndefined();
  const tip = await node.backups.prefetch(chain, call.signal);
  expect(tip).toBe((await node.backups.list(call.signal))[0]?.id);
  const key = keyOf("two");
  await node.snapshotter.prepare({ key, labels: {} }, call);
  node.containers.add("two", keyed);
  const startedAt = performance.now();
  await node.snapshotter.mounts({ key }, call);
  const took = performance.now() - startedAt;
  console.log(`Mounts of a container whose backup was fetched ahead: ${took.toFixed(1)} ms`);
  expect(took).toBeLessThan(1000);
});

test(
  "a damaged last backup refuses the start, or gives way to the one before it when told so",
  { timeout: 120_000 },
  async () => {
    using dir = scratch();
    const store = { path: dir.at("store") };
    const trees: Ran["after"][] = [];
    let last: BackupId | undefined;
    {
      await using node = await startNode({ root: dir.at("first"), config: { store } });
      for (const step of [1, 2, 3]) {
        const script = `echo ${step} > a; echo ${step} > only-${step}`;
        const ran = await runContainer(node, dir, { id: `web-${step}`, labels: keyed, script });
        const backup = await removeContainer(node, ran);
        trees.push(ran.after);
        if (backup !== undefined) last = backup;
      }
      if (last === undefined) throw new Error("no backup");
      // The second and the third one need it.
      const [, second] = await node.chain(last);
      truncateSync(dir.at("store", layout.blob("default", second?.digest ?? "")), 10);
    }
    {
      await using node = await startNode({ root: dir.at("second"), config: { store } });
      const start = runContainer(node, dir, { id: "strict", labels: keyed, script: "true" });
      await expect(start).rejects.toThrow(/bytes|damaged/);
    }
    const logged: string[] = [];
    const log = { ...silentLogger, error: (_facts: unknown, message: string) => void logged.push(message) };
    const config = { store, "on-damage": "previous" } as const;
    await using node = await startNode({ root: dir.at("third"), config, log: { ...log, child: () => log } });
    const ran = await runContainer(node, dir, { id: "lenient", labels: keyed, script: "true" });
    expect(difference(trees[0] ?? new Map(), ran.before)).toEqual([]);
    expect(logged.filter((line) => line.includes("the one before it is restored"))).toHaveLength(2);
    const [restore] = await node.backups.restores(call.signal);
    expect(restore?.state).toBe("done");
  },
);
