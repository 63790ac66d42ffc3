import {
  errorMessage,
  type AeonError,
  type CallContext,
  type Logger,
  type SnapshotOperation,
  type SnapshotOutcome,
  type Snapshotter,
} from "@aeon/core";
import { backendError, callError, type HookFailure } from "./failure.ts";
import type { HookCall, HookFunction } from "./hook-function.ts";
import { callSnapshotter, operations, type Reply, type Request } from "./operations.ts";
import type { Plan, PostStep } from "./registered-hooks.ts";
import { ShapeError } from "./shape.ts";
import type { ListGuard } from "./watched-list.ts";

/** Milliseconds that taking back a snapshot may take after a hook refused it. */
const undoLimitMs = 5000;

interface Run<Op extends SnapshotOperation> {
  readonly operation: Op;
  readonly plan: Plan<Op>;
  readonly backend: Snapshotter;
  readonly log: Logger;
}

/** Pre functions, the operation, post functions. Post functions run whatever happened before. */
export async function runPlan<Op extends SnapshotOperation>(
  run: Run<Op>,
  given: Request<Op>,
  context: CallContext,
): Promise<Reply<Op>> {
  const call: HookCall = {
    backend: run.backend,
    caller: context.caller,
    signal: context.signal,
    startedAt: performance.now(),
  };
  const { request, refusal } = await runPre(run, sealed(operations[run.operation].request, given), call);
  const executed: SnapshotOutcome<Op> =
    refusal === undefined ? await execute(run, request, context) : { ok: false, error: refusal };
  const outcome = await runPost(run, request, executed, call);
  if (outcome.ok) return outcome.reply;
  if (executed.ok) await undo(run, request, call);
  throw outcome.error;
}

async function runPre<Op extends SnapshotOperation>(
  run: Run<Op>,
  given: Request<Op>,
  call: HookCall,
): Promise<{ request: Request<Op>; refusal?: AeonError }> {
  let request = given;
  for (const step of run.plan.pre) {
    const before = request;
    const result = await step.function.run(call, true, async (hookContext) => {
      const rewritten = await step.call(before, hookContext);
      return rewritten === undefined ? before : operations[run.operation].request(rewritten);
    });
    if (result.ok) request = result.value;
    else {
      const refusal = settleFailure(run, step.function, result, "pre");
      if (refusal !== undefined) return { request, refusal };
    }
  }
  return { request };
}

async function execute<Op extends SnapshotOperation>(
  { operation, plan, backend }: Run<Op>,
  request: Request<Op>,
  context: CallContext,
): Promise<SnapshotOutcome<Op>> {
  try {
    const reply = await callSnapshotter(backend, operation, request, context);
    return { ok: true, reply: plan.post.length === 0 ? reply : sealed(operations[operation].reply, reply) };
  } catch (error) {
    return { ok: false, error: backendError(error, operation) };
  }
}

async function runPost<Op extends SnapshotOperation>(
  run: Run<Op>,
  request: Request<Op>,
  executed: SnapshotOutcome<Op>,
  call: HookCall,
): Promise<SnapshotOutcome<Op>> {
  let outcome = executed;
  for (const step of run.plan.post) outcome = await runPostStep(run, step, request, outcome, call);
  return outcome;
}

async function runPostStep<Op extends SnapshotOperation>(
  run: Run<Op>,
  step: PostStep<Op>,
  request: Request<Op>,
  before: SnapshotOutcome<Op>,
  call: HookCall,
): Promise<SnapshotOutcome<Op>> {
  const operation = operations[run.operation];
  const watched = before.ok ? operation.watch?.(before.reply, listGuard(run, step)) : undefined;
  const shown: SnapshotOutcome<Op> = watched === undefined ? before : { ok: true, reply: watched.source };
  const result = await step.function.run(call, false, async (hookContext) => {
    const rewritten = await step.call(request, shown, hookContext);
    if (rewritten === undefined) return undefined;
    if (!before.ok) throw new ShapeError("a failed call has no reply to rewrite");
    return { reply: operation.reply(rewritten) };
  });
  const refusal = result.ok ? undefined : settleFailure(run, step.function, result, "post");
  // The first error is what went wrong; later ones follow from it.
  if (refusal !== undefined && before.ok) {
    await watched?.revoke();
    return { ok: false, error: refusal };
  }
  if (result.ok && result.value !== undefined) {
    const { reply } = result.value;
    return { ok: true, reply: watched === undefined ? reply : watched.guarded(reply) };
  }
  if (watched === undefined) return before;
  if (!watched.touched) return { ok: true, reply: watched.rest };
  await watched.revoke();
  return await execute(run, request, call);
}

function listGuard<Op extends SnapshotOperation>(run: Run<Op>, { function: step }: PostStep<Op>): ListGuard {
  return {
    timeoutMs: step.timeoutMs,
    failed(failure) {
      step.countFailure(failure.cause);
      return settleFailure(run, step, failure, "post");
    },
    broken(failure) {
      step.countFailure(failure.cause);
      logFailure(run, step, failure);
      return callError(failure, step.name, run.operation);
    },
  };
}

/** Logs a failure of a hook; gives the error that the call fails with because of it, if it does. */
function settleFailure<Op extends SnapshotOperation>(
  run: Run<Op>,
  step: HookFunction,
  failure: HookFailure,
  phase: "pre" | "post",
): AeonError | undefined {
  const canceled = failure.cause === "canceled";
  if (!canceled) logFailure(run, step, failure);
  // A call that is canceled before the operation ran has nothing left to run for.
  const ends = step.onFailure === "fail" || (canceled && phase === "pre");
  return ends ? callError(failure, step.name, run.operation) : undefined;
}

function logFailure<Op extends SnapshotOperation>(
  { log }: Run<Op>,
  { name, onFailure }: HookFunction,
  { cause, error }: HookFailure,
): void {
  log.warn({ ...name, cause, error: errorMessage(error), policy: onFailure }, "snapshot hook failed");
}

/** The caller is told that there is no snapshot, so there must be none when it tries again. */
async function undo<Op extends SnapshotOperation>(
  { operation, backend, log }: Run<Op>,
  request: Request<Op>,
  { caller }: HookCall,
): Promise<void> {
  if (operation !== "prepare" && operation !== "view") return;
  if (!("key" in request)) return;
  try {
    await backend.remove({ key: request.key }, { caller, signal: AbortSignal.timeout(undoLimitMs) });
  } catch (error) {
    log.error({ operation, key: request.key, error: errorMessage(error) }, "refused snapshot remains");
  }
}

/** What is not a hook's is not ours to judge: it goes on unsealed. */
function sealed<T>(check: (value: unknown) => T, value: T): T {
  try {
    return check(value);
  } catch (error) {
    if (error instanceof ShapeError) return value;
    throw error;
  }
}
