import { ownSnapshotPrefix, type SnapshotHook, type SnapshotInfo } from "@aeon/core";
import { errors } from "../errors.ts";
import { builtinOrders } from "./builtin-orders.ts";

/**
 * Keeps the snapshots that plugins make for themselves out of containerd's sight: its garbage collector removes
 * whatever it is shown and does not know. Built in, so that they are safe also while their plugin is not running.
 */
export const ownSnapshots: SnapshotHook = {
  name: "own-snapshots",
  order: builtinOrders.ownSnapshots,
  timeoutMs: 10_000,
  onFailure: "fail",
  async preRemove({ key }) {
    if (key.startsWith(ownSnapshotPrefix))
      throw errors.SNAPSHOT_PRIVATE(`cannot remove snapshot ${key}: it belongs to a plugin of aeon`);
    return undefined;
  },
  async postList(_request, outcome) {
    return outcome.ok ? withoutOwn(outcome.reply) : undefined;
  },
};

async function* withoutOwn(infos: AsyncIterable<SnapshotInfo>): AsyncGenerator<SnapshotInfo, void> {
  for await (const info of infos) if (!info.name.startsWith(ownSnapshotPrefix)) yield info;
}
