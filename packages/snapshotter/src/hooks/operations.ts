import type {
  CallContext,
  HookContext,
  SnapshotHook,
  SnapshotOperation,
  SnapshotOperations,
  SnapshotOutcome,
} from "@aeon/core";
import * as shape from "./shape.ts";
import { WatchedList, type ListGuard } from "./watched-list.ts";

export type Request<Op extends SnapshotOperation> = SnapshotOperations[Op]["request"];
export type Reply<Op extends SnapshotOperation> = SnapshotOperations[Op]["reply"];

type Methods = {
  readonly [Op in SnapshotOperation]: (request: Request<Op>, context: CallContext) => Promise<Reply<Op>>;
};

/** Calls the snapshotter's method of that name. */
export function callSnapshotter<Op extends SnapshotOperation>(
  snapshotter: Methods,
  operation: Op,
  request: Request<Op>,
  context: CallContext,
): Promise<Reply<Op>> {
  return snapshotter[operation](request, context);
}

export type PreFunction<Op extends SnapshotOperation> = (
  request: Request<Op>,
  context: HookContext,
) => Promise<Request<Op> | undefined>;

export type PostFunction<Op extends SnapshotOperation> = (
  request: Request<Op>,
  outcome: SnapshotOutcome<Op>,
  context: HookContext,
) => Promise<Reply<Op> | undefined>;

/** How the pipeline finds a hook's functions for an operation and checks what they return. */
export interface Operation<Op extends SnapshotOperation> {
  pre(hook: SnapshotHook): PreFunction<Op> | undefined;
  post(hook: SnapshotHook): PostFunction<Op> | undefined;
  /** A frozen copy of the value; throws ShapeError when it is no request of the operation. */
  readonly request: (value: unknown) => Request<Op>;
  /** A frozen copy of the value; throws ShapeError when it is no reply of the operation. */
  readonly reply: (value: unknown) => Reply<Op>;
  /** For a reply that is read after the call: how a hook's part in reading it is watched. */
  readonly watch?: (reply: Reply<Op>, guard: ListGuard) => WatchedReply<Op>;
}

export interface WatchedReply<Op extends SnapshotOperation> {
  readonly source: Reply<Op>;
  readonly rest: Reply<Op>;
  readonly touched: boolean;
  revoke(): Promise<void>;
  guarded(rewritten: Reply<Op>): Reply<Op>;
}

export const operations: { readonly [Op in SnapshotOperation]: Operation<Op> } = {
  prepare: {
    pre: (hook) => hook.prePrepare?.bind(hook),
    post: (hook) => hook.postPrepare?.bind(hook),
    request: shape.prepareRequest,
    reply: shape.mountsReply,
  },
  view: {
    pre: (hook) => hook.preView?.bind(hook),
    post: (hook) => hook.postView?.bind(hook),
    request: shape.prepareRequest,
    reply: shape.mountsReply,
  },
  mounts: {
    pre: (hook) => hook.preMounts?.bind(hook),
    post: (hook) => hook.postMounts?.bind(hook),
    request: shape.keyRequest,
    reply: shape.mountsReply,
  },
  commit: {
    pre: (hook) => hook.preCommit?.bind(hook),
    post: (hook) => hook.postCommit?.bind(hook),
    request: shape.commitRequest,
    reply: shape.noReply,
  },
  remove: {
    pre: (hook) => hook.preRemove?.bind(hook),
    post: (hook) => hook.postRemove?.bind(hook),
    request: shape.keyRequest,
    reply: shape.noReply,
  },
  stat: {
    pre: (hook) => hook.preStat?.bind(hook),
    post: (hook) => hook.postStat?.bind(hook),
    request: shape.keyRequest,
    reply: shape.infoReply,
  },
  update: {
    pre: (hook) => hook.preUpdate?.bind(hook),
    post: (hook) => hook.postUpdate?.bind(hook),
    request: shape.updateRequest,
    reply: shape.infoReply,
  },
  list: {
    pre: (hook) => hook.preList?.bind(hook),
    post: (hook) => hook.postList?.bind(hook),
    request: shape.listRequest,
    reply: shape.listReply,
    watch: (reply, guard) => new WatchedList(reply, guard),
  },
  usage: {
    pre: (hook) => hook.preUsage?.bind(hook),
    post: (hook) => hook.postUsage?.bind(hook),
    request: shape.keyRequest,
    reply: shape.usageReply,
  },
  cleanup: {
    pre: (hook) => hook.preCleanup?.bind(hook),
    post: (hook) => hook.postCleanup?.bind(hook),
    request: shape.emptyRequest,
    reply: shape.noReply,
  },
};

/** Every operation, in the order of containerd's service definition. */
export const operationNames: readonly SnapshotOperation[] = [
  "prepare",
  "view",
  "mounts",
  "commit",
  "remove",
  "stat",
  "update",
  "list",
  "usage",
  "cleanup",
];
