import { Lifetime, silentLogger, type Logger, type Snapshotter } from "@aeon/core";
import { createClock } from "./clock.ts";
import { Directories } from "./directories.ts";
import { DiskThread } from "./disk-thread.ts";
import { kernelMapsIds, overlayOptions } from "./mount-options.ts";
import { OverlaySnapshotter } from "./overlay-snapshotter.ts";
import { Removals } from "./removals.ts";
import { checkEntryTypes, makeSnapshotsFolder, openRoot } from "./root.ts";
import { SnapshotStore } from "./snapshot-store.ts";
import { Usage } from "./usage.ts";

export interface OverlaySnapshotterOptions {
  /** Folder of the database and of all snapshot files; made if absent. One process at a time. */
  readonly root: string;
  readonly log?: Logger;
  /** More options for every overlay mount; `metacopy` and `redirect_dir` cannot be switched on. */
  readonly mountOptions?: readonly string[];
  /** Show each snapshot's own files as label `containerd.io/snapshot/overlay.upperdir`. Default false. */
  readonly upperdirLabel?: boolean;
  /** Let Remove return before the files are deleted. Default true. */
  readonly asyncRemove?: boolean;
}

/**
 * Opens containerd's overlayfs semantics on a folder: repairs what a crash left behind, then serves. Throws
 * `SNAPSHOT_ROOT_INVALID`, `MOUNT_OPTION_INVALID`, `DATABASE_LOCKED` and other errors of the folder.
 */
export async function openOverlaySnapshotter(options: OverlaySnapshotterOptions): Promise<Snapshotter> {
  const log = options.log ?? silentLogger;
  const root = await openRoot(options.root);
  const mountOptions = await overlayOptions(root.path, options.mountOptions ?? []);
  await using starting = new AsyncDisposableStack();
  const life = starting.use(new Lifetime());
  const store = life.use(new SnapshotStore(root.database));
  await checkEntryTypes(root);
  await makeSnapshotsFolder(root);
  const thread = life.use(new DiskThread());
  const removals = life.use(new Removals(thread, log));
  const directories = new Directories(root.snapshots);
  life.defer(() => directories.deleteSpare());
  const snapshotter = new OverlaySnapshotter({
    life,
    store,
    directories,
    removals,
    usage: new Usage(store, thread, root.snapshots),
    clock: createClock(),
    mounts: { snapshots: root.snapshots, options: mountOptions, idmap: kernelMapsIds() },
    showUpperdir: options.upperdirLabel ?? false,
    asyncRemove: options.asyncRemove ?? true,
  });
  await snapshotter.repair(log);
  starting.move();
  return snapshotter;
}
