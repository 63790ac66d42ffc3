import { rm } from "node:fs/promises";
import type { Client } from "@aeon/containerd";
import { inNamespaces } from "../system/namespace-thread.ts";
import { removeCgroups } from "./cgroups.ts";
import { isMounted, removeDataDisk } from "./data-disk.ts";
import { isAlive } from "./main-process.ts";
import { firewallTable, type Places } from "./places.ts";
import type { DindRecord } from "./records.ts";
import { unlessGone } from "./is-gone.ts";
import { linksOf } from "./main-network.ts";

/** Milliseconds that dockerd gets to end its containers. */
const graceMs = 10_000;

/** Ends D and takes its record and its network away; its data stays. Every step may have been done before. */
export async function endDind(
  client: Client,
  places: Places,
  record: DindRecord,
  how: { readonly kindly: boolean },
): Promise<void> {
  const container = client.container(places.container);
  const task = await unlessGone(container.task());
  if (task !== undefined) {
    const ended = task.wait().catch(() => {});
    if (how.kindly) {
      await task.kill("SIGTERM").catch(() => {});
      const late = Promise.withResolvers<void>();
      const timer = setTimeout(late.resolve, graceMs);
      await Promise.race([ended, late.promise]);
      clearTimeout(timer);
    }
    // The end of a pid namespace's first process ends all of it.
    await task.kill("SIGKILL").catch(() => {});
    await ended;
    await unlessGone(task.delete());
  }
  await unlessGone(container.delete({ snapshot: true }));
  await clearNetwork(record);
  const hasEnded = !isAlive(record.pid, record.startTime);
  await removeCgroups(places.container, hasEnded ? record.cgroup : undefined);
}

const dockerLink = /^(?:docker0|br-[0-9a-f]{12}|veth[0-9a-f]{7})$/;

/** What dockerd and aeon made in the main container's network; goes by itself with the main container. */
async function clearNetwork({ pid, startTime, links, forward }: DindRecord): Promise<void> {
  if (!isAlive(pid, startTime)) return;
  const before = new Set(links);
  const made = (await linksOf(pid)).filter((name) => dockerLink.test(name) && !before.has(name));
  try {
    await inNamespaces({ kind: "clear-network", pid, links: made, table: firewallTable, forward });
  } catch (error) {
    if (isAlive(pid, startTime)) throw error;
  }
}

/** Takes away the files of a DinD container that has ended. */
export async function removeFiles(places: Places): Promise<void> {
  await removeDataDisk(places);
  if (await isMounted(places.run)) return;
  await rm(places.state, { recursive: true, force: true });
  await rm(places.root, { recursive: true, force: true });
}
