import { join } from "node:path";
import type { MainSocket } from "../mounts/main-socket.ts";
import type { MountCopy, NamespaceTask } from "../system/namespace-worker.ts";
import { inside } from "./places.ts";

const socketCopy = ({ path, inode }: Pick<MainSocket, "path" | "inode">): MountCopy => ({
  source: path.slice(1),
  target: join(inside.filtered, "docker.sock"),
  recursive: false,
  inode,
});

/** Gives D a clone of M's mounts, some of them elsewhere too, and the filtered socket where inner containers get it from. */
export const mainMountsCopy = (
  from: number,
  to: number,
  socket: Pick<MainSocket, "path" | "inode">,
  others: readonly MountCopy[],
): NamespaceTask => ({
  kind: "copy-mounts",
  from,
  to,
  mounts: [{ source: "", target: inside.mainRoot, recursive: true }, socketCopy(socket), ...others],
});

/** Gives D its data, on disk with the ids that they have inside, so that they outlive a change of user namespaces. */
export const dataMountCopy = (data: string, to: number, userNamespace: number): NamespaceTask => ({
  kind: "copy-mounts",
  from: process.pid,
  to,
  mounts: [{ source: data.slice(1), target: inside.data, recursive: false, userNamespace }],
});

/** Gives D another filtered socket in place of the one that it has. */
export const filteredSocketCopy = (
  from: number,
  to: number,
  socket: Pick<MainSocket, "path" | "inode">,
): NamespaceTask => ({
  kind: "copy-mounts",
  from,
  to,
  mounts: [{ ...socketCopy(socket), replaces: true }],
});
