import { writeFileSync } from "node:fs";
import { containerId, silentLogger, type Labels } from "@aeon/core";
import {
  createHookPipeline,
  openContainerRegistry,
  openOverlaySnapshotter,
  type HookPipeline,
} from "@aeon/snapshotter";
import { expect, test } from "vitest";
import { enabledLabel, startGuard } from "../src/index.ts";
import { enabled, removeContainer, runContainer, type Ran } from "./containers.ts";
import { call, Containers, keyOf, space, startNode } from "./node.ts";
import { scratch, type Scratch } from "./scratch.ts";

/** The node as it is while the backup plugin does not run. */
async function withoutPlugin(
  dir: Scratch,
  containers: Containers,
): Promise<AsyncDisposable & { readonly pipeline: HookPipeline }> {
  await using stack = new AsyncDisposableStack();
  const backend = stack.use(await openOverlaySnapshotter({ root: dir.at("node/snapshots") }));
  const registry = stack.use(
    openContainerRegistry({ path: dir.at("node/containers.db"), backend, source: containers }),
  );
  const pipeline = stack.use(createHookPipeline({ backend, log: silentLogger }));
  const guard = startGuard({
    database: dir.at("node/backup/backup.db"),
    policy: "label",
    registry: () => registry,
    isMissing: () => true,
  });
  for (const hook of [...registry.hooks, guard]) pipeline.register(hook);
  const owned = stack.move();
  return { pipeline, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

const deferred = { code: "unavailable", reason: "START_DEFERRED" };

test("no container starts without its files while the plugin does not run, and all others start", async () => {
  using dir = scratch();
  const containers = new Containers();
  let restored: Ran;
  {
    await using node = await startNode({ root: dir.at("node"), containers });
    const first = await runContainer(node, dir, { id: "first", script: "echo 1 > a" });
    const id = await removeContainer(node, first);
    if (id === undefined) throw new Error("no backup was made");
    for (const wanted of ["restored", "waiting"])
      await node.backups.requestRestore(
        { backupId: id, namespace: space, containerId: containerId(wanted) },
        call.signal,
      );
    restored = await runContainer(node, dir, { id: "restored", script: "echo 2 > b" });
  }
  const starts = async (id: string, labels: Labels = {}): Promise<unknown> => {
    await using node = await withoutPlugin(dir, containers);
    const key = keyOf(id);
    await node.pipeline.prepare({ key, labels: {} }, call);
    containers.add(id, labels);
    return await node.pipeline.mounts({ key }, call);
  };
  {
    await using node = await withoutPlugin(dir, containers);
    await expect(node.pipeline.mounts({ key: restored.key }, call)).rejects.toMatchObject(deferred);
  }
  const pod = {
    "io.kubernetes.pod.name": "p",
    "io.kubernetes.pod.namespace": "n",
    "io.kubernetes.pod.uid": "u",
  };
  const inPod = { ...pod, "io.kubernetes.container.name": "c" };
  const keyed = { ...enabled, "backup.container.io/key": "web" };
  await expect(starts("waiting")).rejects.toMatchObject(deferred);
  await expect(starts("keyed", keyed)).rejects.toMatchObject(deferred);
  await expect(starts("in-pod", { ...inPod, ...enabled })).rejects.toMatchObject(deferred);
  await expect(starts("clean", { ...keyed, "backup.container.io/restore": "never" })).resolves.toHaveLength(
    1,
  );
  await expect(starts("plain", enabled)).resolves.toHaveLength(1);
  await expect(starts("other", { ...inPod, [enabledLabel]: "false" })).resolves.toHaveLength(1);
  writeFileSync(dir.at("node/backup/backup.db"), "no database");
  await expect(starts("unreadable", enabled)).rejects.toMatchObject(deferred);
  await expect(starts("not-kept")).resolves.toHaveLength(1);
});
