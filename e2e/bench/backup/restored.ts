import type { BackupNode, MadeContainer } from "./backup-node.ts";

/** A new container that is to start with a backup's files. */
export async function restored(node: BackupNode, backup: string, name: string): Promise<MadeContainer> {
  const container = await node.create(name);
  await node.admin.requestRestore({ backupId: backup, namespace: "default", containerId: container.id });
  return container;
}

/** Milliseconds of the first Mounts of so many restored containers. */
export async function timeMounts(
  node: BackupNode,
  backup: string,
  starts: number,
): Promise<readonly number[]> {
  const times: number[] = [];
  for (let count = 0; count < starts; count += 1) {
    const container = await restored(node, backup, "timed");
    const from = performance.now();
    await node.mounts(container);
    times.push(performance.now() - from);
  }
  return times;
}
