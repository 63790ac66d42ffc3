import { isAeonError, snapshotKey, type CallContext, type SnapshotKey, type Snapshotter } from "@aeon/core";
import type { admin } from "@aeon/proto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { snapshotMessage } from "./convert.ts";
import type { AdminDeps } from "./deps.ts";
import { requireName, running } from "./require.ts";

/** Snapshots in one message: well below the 4 MiB that gRPC clients take by default. */
const batchSize = 100;

const contextOf = (signal: AbortSignal): CallContext => ({ caller: {}, signal });
const snapshotterOf = (deps: AdminDeps): Snapshotter => running(deps.snapshotter(), "the snapshotter");

/** The backend's snapshots that any of the filters matches, in batches. */
export async function* listSnapshots(
  deps: AdminDeps,
  request: admin.ListSnapshotsRequest,
  signal: AbortSignal,
): AsyncGenerator<MessageInitShape<typeof admin.ListSnapshotsResponseSchema>> {
  const list = await snapshotterOf(deps).list({ filters: request.filters }, contextOf(signal));
  let snapshots: MessageInitShape<typeof admin.SnapshotSchema>[] = [];
  for await (const info of list) {
    snapshots.push(snapshotMessage(info));
    if (snapshots.length < batchSize) continue;
    yield { snapshots };
    snapshots = [];
  }
  if (snapshots.length > 0) yield { snapshots };
}

/** Usage of the named snapshots, or of those that the filters choose when no name is given. */
export async function* listSnapshotUsage(
  deps: AdminDeps,
  request: admin.ListSnapshotUsageRequest,
  signal: AbortSignal,
): AsyncGenerator<MessageInitShape<typeof admin.SnapshotUsageSchema>> {
  const snapshotter = snapshotterOf(deps);
  const names = request.names.map((name) => snapshotKey(requireName(name, "names")));
  if (names.length > 0) {
    for (const name of names) yield await usageOf(snapshotter, name, signal);
    return;
  }
  for (const name of await namesOf(snapshotter, request.filters, signal)) {
    const usage = await usageOf(snapshotter, name, signal).catch(ignoreNotFound);
    if (usage !== undefined) yield usage;
  }
}

/** All names first: a walk through files takes long, and a list should not stay open for that. */
async function namesOf(
  snapshotter: Snapshotter,
  filters: readonly string[],
  signal: AbortSignal,
): Promise<readonly SnapshotKey[]> {
  const names: SnapshotKey[] = [];
  for await (const { name } of await snapshotter.list({ filters }, contextOf(signal))) names.push(name);
  return names;
}

async function usageOf(
  snapshotter: Snapshotter,
  name: SnapshotKey,
  signal: AbortSignal,
): Promise<MessageInitShape<typeof admin.SnapshotUsageSchema>> {
  const { size, inodes } = await snapshotter.usage({ key: name }, contextOf(signal));
  return { name, size, inodes };
}

function ignoreNotFound(error: unknown): undefined {
  if (!isAeonError(error, "not-found")) throw error;
}
