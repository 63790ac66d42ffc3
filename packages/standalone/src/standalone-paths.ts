import { join } from "node:path";

/** Fixed places of a standalone aeon below its folder. */
export const standalonePaths = (root: string) => ({
  lock: join(root, "lock"),
  /** aeon's programs as they were when it was started. */
  programs: join(root, "programs"),
  bin: join(root, "bin"),
  containerd: join(root, "containerd"),
  agentConfig: join(root, "aeon.toml"),
  agentLog: join(root, "agent.log"),
  agentRoot: join(root, "agent"),
  /** Sockets and other state of the run; gone when aeon is. */
  run: join(root, "run"),
  snapshotterSocket: join(root, "run", "snapshotter.sock"),
  adminSocket: join(root, "run", "admin.sock"),
  /** The snapshots' files. */
  snapshots: join(root, "snapshots"),
  store: join(root, "store"),
  image: join(root, "busybox.tar"),
});
