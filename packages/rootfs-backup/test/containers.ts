import { createHash } from "node:crypto";
import { containerId, type BackupId, type Labels, type SnapshotKey } from "@aeon/core";
import { describeTree } from "@aeon/testkit";
import { expect } from "vitest";
import { enabledLabel } from "../src/index.ts";
import { call, keyOf, mountAt, space, type TestNode } from "./node.ts";
import { shell, type Scratch } from "./scratch.ts";

/** Makes containers that are kept. */
export const enabled: Labels = { [enabledLabel]: "true" };

const imageScripts = [
  `mkdir -p etc/conf.d usr/bin var/data; for i in 1 2 3 4 5; do echo $i > etc/f$i; echo $i > var/data/$i; done; echo x > usr/bin/tool; ln usr/bin/tool usr/bin/tool2; find . -exec touch -hd 2001-02-03T04:05:06 {} +`,
  `mkdir -p opt/app; echo app > opt/app/main; ln -s main opt/app/link; echo 2 > etc/f2; chmod 700 var; find opt etc/f2 . -maxdepth 0 -exec touch -hd 2001-02-03T04:05:06 {} +; find opt -exec touch -hd 2001-02-03T04:05:06 {} +`,
] as const;

/** An image, by default of two layers with folders to delete from, to replace and to rename; the same on every node. */
export async function makeImage(
  node: TestNode,
  dir: Scratch,
  scripts: readonly string[] = imageScripts,
): Promise<SnapshotKey> {
  let parent: SnapshotKey | undefined;
  for (const [index, script] of scripts.entries()) {
    const chainId = createHash("sha256")
      .update(scripts.slice(0, index + 1).join("\0"))
      .digest("hex");
    const key = keyOf(`extract-${index} sha256:${chainId}`);
    const mounts = await node.snapshotter.prepare(
      { key, labels: {}, ...(parent !== undefined && { parent }) },
      call,
    );
    {
      await using _ = await mountAt(dir.at("image"), mounts);
      shell(script, dir.at("image"));
    }
    const name = keyOf(`sha256:${chainId}`);
    await node.snapshotter.commit({ name, key, labels: {} }, call);
    parent = name;
  }
  if (parent === undefined) throw new Error("image has no layers");
  return parent;
}

export interface Ran {
  readonly key: SnapshotKey;
  /** The tree before and after the script. */
  readonly before: ReadonlyMap<string, string>;
  readonly after: ReadonlyMap<string, string>;
}

/** Makes a container, runs a script in its root as its process would, and stops it; the snapshot stays. */
export async function runContainer(
  node: TestNode,
  dir: Scratch,
  {
    id,
    parent,
    labels = enabled,
    script,
  }: { id: string; parent?: SnapshotKey; labels?: Labels; script: string },
): Promise<Ran> {
  const key = keyOf(id);
  await node.snapshotter.prepare({ key, labels: {}, ...(parent !== undefined && { parent }) }, call);
  node.containers.add(id, labels);
  const mounts = await node.snapshotter.mounts({ key }, call);
  expect(await node.snapshotter.mounts({ key }, call)).toEqual(mounts);
  await using _ = await mountAt(dir.at("merged"), mounts);
  const before = await describeTree(dir.at("merged"));
  shell(script, dir.at("merged"));
  await node.registry.learn(key, call.signal);
  return { key, before, after: await describeTree(dir.at("merged")) };
}

/** Removes the container as containerd does, and gives the id of its backup once that is stored. */
export async function removeContainer(node: TestNode, { key }: Ran) {
  await node.snapshotter.remove({ key }, call);
  const backup = (await node.backups.list(call.signal)).find((each) => each.snapshotKey === key);
  if (backup === undefined) return undefined;
  for await (const each of node.backups.watch(backup.id, call.signal))
    if (each.state === "failed") throw new Error(each.failure);
  return backup.id;
}

/** What a container does to the image of {@link makeImage}, different in each cycle. */
export const mess = (step: number) => `
  echo ${step} > new-${step}; echo changed-${step} > etc/f${1 + (step % 5)}; rm -f var/data/${1 + (step % 5)}
  rm -rf opt/app; mkdir -p opt/app; echo fresh-${step} > opt/app/fresh-${step}
  ln -f new-${step} etc/conf.d/hard-${step}; ln -sfn ../new-${step} etc/latest
  chmod 4711 new-${step}; chown ${1000 + step}:42 new-${step}; touch -d '2001-02-03 04:05:06.123456789' new-${step}
  [ ! -e usr/bin/tool2 ] || rm usr/bin/tool2; mkfifo etc/pipe-${step}; mknod etc/null-${step} c 1 3
  truncate -s 3M sparse-${step}; printf x | dd of=sparse-${step} bs=1 seek=1000000 conv=notrunc status=none
  touch "etc/.wh.real-${step}" "etc/.wh..wh..opq"; mkdir -p deep/a/b/c; echo ${step} > deep/a/b/c/$(printf 'n%.0s' $(seq 200))
  chmod 1777 .; touch .`;

/** Runs a container with the files of a backup and gives the backup of what it left. */
export async function cycle(
  node: TestNode,
  dir: Scratch,
  {
    id,
    from,
    ...how
  }: { id: string; from: BackupId | undefined } & Omit<Parameters<typeof runContainer>[2], "id">,
): Promise<{ readonly ran: Ran; readonly backup: BackupId }> {
  if (from !== undefined)
    await node.backups.requestRestore(
      { backupId: from, namespace: space, containerId: containerId(id) },
      call.signal,
    );
  const ran = await runContainer(node, dir, { id, ...how });
  const backup = await removeContainer(node, ran);
  if (backup === undefined) throw new Error(`no backup was made of ${id}`);
  return { ran, backup };
}
