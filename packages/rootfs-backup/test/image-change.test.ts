import { containerId, type BackupId } from "@aeon/core";
import { difference } from "@aeon/testkit";
import { expect, test } from "vitest";
import type { BackupConfig, Restore } from "../src/index.ts";
import { cycle, makeImage, runContainer, type Ran } from "./containers.ts";
import { call, space, startNode, type TestNode } from "./node.ts";
import { scratch, type Scratch } from "./scratch.ts";

type Policy = BackupConfig["on-image-change"];

/** An image and a version of it that a script changes; what the script leaves alone keeps its attributes. */
const versions = (script: string): readonly string[] => [
  "mkdir -p etc opt/app; echo 1 > etc/f1; echo 2 > etc/f2; echo app > opt/app/main; echo old > opt/app/lib",
  script,
];

interface Moved {
  readonly node: TestNode;
  /** What was backed up on the old image. */
  readonly first: Ran;
  readonly backup: BackupId;
  /** Starts a container with the backup, on either image. */
  start(id: string, on: "old" | "new"): Promise<Ran>;
  restore(): Promise<Restore | undefined>;
}

async function moveImage(dir: Scratch, policy: Policy, change: string): Promise<Moved & AsyncDisposable> {
  const node = await startNode({ root: dir.at("node"), config: { "on-image-change": policy } });
  const images = {
    old: await makeImage(node, dir, versions("true")),
    new: await makeImage(node, dir, versions(change)),
  };
  const script =
    "echo mine > etc/f1; echo new > etc/new; rm -rf opt/app; mkdir opt/app; echo own > opt/app/own";
  const { ran, backup } = await cycle(node, dir, {
    id: "first",
    from: undefined,
    parent: images.old,
    script,
  });
  return {
    node,
    first: ran,
    backup,
    start: async (id, on) => {
      const request = { backupId: backup, namespace: space, containerId: containerId(id) };
      await node.backups.requestRestore(request, call.signal);
      return await runContainer(node, dir, { id, parent: images[on], script: "true" });
    },
    restore: async () => (await node.backups.restores(call.signal))[0],
    [Symbol.asyncDispose]: () => node[Symbol.asyncDispose](),
  };
}

test.for([
  ["auto", "echo other > etc/f1"],
  ["auto", "rm opt/app/lib"],
  ["strict", "echo other > etc/f2"],
] as const)("%s refuses another image after: %s", { timeout: 60_000 }, async ([policy, change]) => {
  using dir = scratch();
  await using moved = await moveImage(dir, policy, change);
  await expect(moved.start("second", "new")).rejects.toMatchObject({
    code: "failed-precondition",
    reason: "IMAGE_CHANGED",
  });
  expect(await moved.restore()).toMatchObject({
    state: "pending",
    failure: expect.stringContaining("sha256:"),
  });
  expect(difference(moved.first.after, (await moved.start("third", "old")).before)).toEqual([]);
});

test.for([
  ["auto", "echo other > etc/f2", []],
  ["rebase", "echo other > etc/f1; rm opt/app/lib", ["/etc/f1", "/opt/app"]],
] as const)(
  "%s puts the files on another image after: %s",
  { timeout: 60_000 },
  async ([policy, change, conflicts]) => {
    using dir = scratch();
    await using moved = await moveImage(dir, policy, change);
    const names = [...(await moved.start("second", "new")).before.keys()];
    expect(names).toContain("./etc/new");
    expect(names).toContain("./opt/app/own");
    expect(names).not.toContain("./opt/app/main");
    expect(await moved.restore()).toMatchObject({
      state: "done",
      conflicts: { paths: conflicts, count: conflicts.length },
    });
  },
);

test("fresh starts clean on another image and keeps the backup", async () => {
  using dir = scratch();
  await using moved = await moveImage(dir, "fresh", "echo other > etc/f1");
  const names = [...(await moved.start("second", "new")).before.keys()];
  expect(names).not.toContain("./etc/new");
  expect(names).toContain("./opt/app/main");
  expect(await moved.restore()).toMatchObject({
    state: "failed",
    failure: expect.stringContaining("started clean"),
  });
  expect(difference(moved.first.after, (await moved.start("third", "old")).before)).toEqual([]);
});
