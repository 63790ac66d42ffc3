import type { AeonError } from "./error.ts";
import type { CallContext, Snapshotter, SnapshotOperation, SnapshotOperations } from "./snapshotter.ts";

/** What a hook may use: the call's context and the snapshotter below all hooks. */
export interface HookContext extends CallContext {
  /** Calls on it run no hooks. */
  readonly backend: Snapshotter;
  /** When the call reached the pipeline, in milliseconds on the clock of `performance.now()`. */
  readonly startedAt?: number;
}

export type SnapshotOutcome<Op extends SnapshotOperation> =
  | { readonly ok: true; readonly reply: SnapshotOperations[Op]["reply"] }
  | { readonly ok: false; readonly error: AeonError };

type PreHooks = {
  readonly [Op in SnapshotOperation as `pre${Capitalize<Op>}`]?: (
    request: SnapshotOperations[Op]["request"],
    context: HookContext,
  ) => Promise<SnapshotOperations[Op]["request"] | undefined>;
};

type PostHooks = {
  readonly [Op in SnapshotOperation as `post${Capitalize<Op>}`]?: (
    request: SnapshotOperations[Op]["request"],
    outcome: SnapshotOutcome<Op>,
    context: HookContext,
  ) => Promise<SnapshotOperations[Op]["reply"] | undefined>;
};

/**
 * A named set of pre and post functions around snapshot operations. A hook takes part in an operation by having
 * the method. A pre function may return a rewritten request, or throw to refuse the call; a post function sees
 * the outcome, may return a rewritten reply, and runs after failures too.
 *
 * containerd holds locks during Prepare, View, Commit, Update, Remove and List: functions there must be quick.
 * `mounts` is the one place for slow work.
 */
export interface SnapshotHook extends PreHooks, PostHooks {
  readonly name: string;
  /** Lower runs first before the operation and last after it. Default 0; built-in hooks use -1000…1000. */
  readonly order?: number;
  /** Milliseconds each function may take; its signal is aborted then. */
  readonly timeoutMs: number;
  /** What a throw or a timeout does to the call: `ignore` logs and goes on, `fail` refuses the call. */
  readonly onFailure: "ignore" | "fail";
}

export interface SnapshotHookRegistry {
  /** Adds a hook until the returned handle is disposed. Throws `already-exists` on a name in use. */
  register(hook: SnapshotHook): Disposable;
}
