import type { AeonError, HookContext, SnapshotHook, SnapshotOperation } from "@aeon/core";

/** How a call ended, without the parts that differ between operations. */
export interface CallEnd {
  readonly operation: SnapshotOperation;
  readonly request: unknown;
  /** Undefined: the call succeeded. */
  readonly error: AeonError | undefined;
  readonly context: HookContext;
  /** Since the call reached the pipeline. */
  readonly milliseconds: number;
}

type PostFunctions = Omit<SnapshotHook, "name" | "order" | "timeoutMs" | "onFailure">;

/** Post functions that report the end of each of the operations and change nothing. */
export function afterEach(
  operations: readonly SnapshotOperation[],
  report: (end: CallEnd) => void,
): PostFunctions {
  const after =
    (operation: SnapshotOperation) =>
    async (
      request: unknown,
      outcome: { readonly ok: boolean; readonly error?: AeonError },
      context: HookContext,
    ): Promise<undefined> => {
      const milliseconds = performance.now() - (context.startedAt ?? performance.now());
      report({ operation, request, error: outcome.ok ? undefined : outcome.error, context, milliseconds });
    };
  const all = {
    prepare: { postPrepare: after("prepare") },
    view: { postView: after("view") },
    mounts: { postMounts: after("mounts") },
    commit: { postCommit: after("commit") },
    remove: { postRemove: after("remove") },
    stat: { postStat: after("stat") },
    update: { postUpdate: after("update") },
    list: { postList: after("list") },
    usage: { postUsage: after("usage") },
    cleanup: { postCleanup: after("cleanup") },
  } satisfies Record<SnapshotOperation, PostFunctions>;
  const chosen: PostFunctions = {};
  for (const operation of operations) Object.assign(chosen, all[operation]);
  return chosen;
}
