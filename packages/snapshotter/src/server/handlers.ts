import type { GrpcHandlers, ServedCall } from "@aeon/containerd";
import type { CallContext, Logger, SnapshotInfo, Snapshotter } from "@aeon/core";
import type { snapshots } from "@aeon/proto";
import { infoMessage, mountsMessage } from "./messages.ts";
import { checkedLabels, optionalParent, requiredName } from "./request.ts";
import { failureFacts, isOurFault, replyError } from "./status.ts";

type Handlers = GrpcHandlers<typeof snapshots.Snapshots>;

/** Snapshots in one message of List, as containerd sends them. */
const batchSize = 100;
const empty = {};

/** Answers containerd's snapshot service from a snapshotter. */
export function snapshotHandlers(snapshotter: Snapshotter, log: Logger): Handlers {
  const guard = async <T>(call: ServedCall, work: (context: CallContext) => Promise<T>): Promise<T> => {
    try {
      return await work(call);
    } catch (error) {
      throw reply(error, call);
    }
  };
  const reply = (error: unknown, call: ServedCall): unknown => {
    const failure = replyError(error, call.method);
    if (isOurFault(failure))
      log.error({ method: call.method, ...failureFacts(failure) }, "snapshot call failed");
    return failure;
  };
  return {
    prepare: ({ key, parent, labels }, call) =>
      guard(call, async (context) =>
        mountsMessage(await snapshotter.prepare(newSnapshot(key, parent, labels), context)),
      ),
    view: ({ key, parent, labels }, call) =>
      guard(call, async (context) =>
        mountsMessage(await snapshotter.view(newSnapshot(key, parent, labels), context)),
      ),
    mounts: ({ key }, call) =>
      guard(call, async (context) => mountsMessage(await snapshotter.mounts(byKey(key), context))),
    commit: ({ name, key, labels, parent }, call) =>
      guard(call, async (context) => {
        const request = { ...newSnapshot(key, parent, labels), name: requiredName(name, "name") };
        await snapshotter.commit(request, context);
        return empty;
      }),
    remove: ({ key }, call) =>
      guard(call, async (context) => {
        await snapshotter.remove(byKey(key), context);
        return empty;
      }),
    stat: ({ key }, call) =>
      guard(call, async (context) => ({ info: infoMessage(await snapshotter.stat(byKey(key), context)) })),
    update: ({ info, updateMask }, call) =>
      guard(call, async (context) => {
        const request = {
          name: requiredName(info?.name ?? "", "info.name"),
          labels: checkedLabels(info?.labels ?? {}),
          paths: updateMask?.paths ?? [],
        };
        return { info: infoMessage(await snapshotter.update(request, context)) };
      }),
    usage: ({ key }, call) => guard(call, (context) => snapshotter.usage(byKey(key), context)),
    cleanup: (_, call) =>
      guard(call, async (context) => {
        await snapshotter.cleanup({}, context);
        return empty;
      }),
    async *list({ filters }, call) {
      try {
        yield* batches(await snapshotter.list({ filters }, call));
      } catch (error) {
        throw reply(error, call);
      }
    },
  };
}

const byKey = (key: string) => ({ key: requiredName(key, "key") });

const newSnapshot = (key: string, parent: string, labels: Record<string, string>) => ({
  ...byKey(key),
  ...optionalParent(parent),
  labels: checkedLabels(labels),
});

async function* batches(infos: AsyncIterable<SnapshotInfo>) {
  let info: ReturnType<typeof infoMessage>[] = [];
  for await (const one of infos) {
    info.push(infoMessage(one));
    if (info.length < batchSize) continue;
    yield { info };
    info = [];
  }
  if (info.length > 0) yield { info };
}
