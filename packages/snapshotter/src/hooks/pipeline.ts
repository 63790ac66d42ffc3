import {
  silentLogger,
  type CallContext,
  type Health,
  type Logger,
  type Metrics,
  type SnapshotHook,
  type SnapshotHookRegistry,
  type SnapshotOperation,
  type Snapshotter,
} from "@aeon/core";
import { hookMeters } from "./hook-metrics.ts";
import { callSnapshotter, type Reply, type Request } from "./operations.ts";
import { isHanging, RegisteredHooks, type HookStatus } from "./registered-hooks.ts";
import { runPlan } from "./run-plan.ts";

/** A snapshotter that runs hooks around each operation of another one. */
export interface HookPipeline extends Snapshotter, SnapshotHookRegistry {
  /** Calls on it run no hooks. */
  readonly backend: Snapshotter;
  /** One entry for each function of each registered hook. */
  hooks(): readonly HookStatus[];
  /** Not ok while a hook's function hangs again and again. */
  health(): Health;
}

export interface HookPipelineOptions {
  /** Stays open when the pipeline is disposed. */
  readonly backend: Snapshotter;
  readonly log?: Logger;
  readonly metrics?: Metrics;
}

/** Puts a hook pipeline before `backend`. An operation without hooks is a direct call. */
export function createHookPipeline(options: HookPipelineOptions): HookPipeline {
  return new Pipeline(options);
}

class Pipeline implements HookPipeline {
  readonly backend: Snapshotter;
  readonly #log: Logger;
  readonly #hooks: RegisteredHooks;

  constructor({ backend, log = silentLogger, metrics }: HookPipelineOptions) {
    this.backend = backend;
    this.#log = log;
    this.#hooks = new RegisteredHooks(hookMeters(metrics));
  }

  prepare(request: Request<"prepare">, context: CallContext): Promise<Reply<"prepare">> {
    return this.#call("prepare", request, context);
  }
  view(request: Request<"view">, context: CallContext): Promise<Reply<"view">> {
    return this.#call("view", request, context);
  }
  mounts(request: Request<"mounts">, context: CallContext): Promise<Reply<"mounts">> {
    return this.#call("mounts", request, context);
  }
  commit(request: Request<"commit">, context: CallContext): Promise<Reply<"commit">> {
    return this.#call("commit", request, context);
  }
  remove(request: Request<"remove">, context: CallContext): Promise<Reply<"remove">> {
    return this.#call("remove", request, context);
  }
  stat(request: Request<"stat">, context: CallContext): Promise<Reply<"stat">> {
    return this.#call("stat", request, context);
  }
  update(request: Request<"update">, context: CallContext): Promise<Reply<"update">> {
    return this.#call("update", request, context);
  }
  list(request: Request<"list">, context: CallContext): Promise<Reply<"list">> {
    return this.#call("list", request, context);
  }
  usage(request: Request<"usage">, context: CallContext): Promise<Reply<"usage">> {
    return this.#call("usage", request, context);
  }
  cleanup(request: Request<"cleanup">, context: CallContext): Promise<Reply<"cleanup">> {
    return this.#call("cleanup", request, context);
  }

  register(hook: SnapshotHook): Disposable {
    return this.#hooks.register(hook);
  }

  hooks(): readonly HookStatus[] {
    return this.#hooks.status();
  }

  health(): Health {
    const hanging = this.#hooks.status().filter(isHanging);
    if (hanging.length === 0) return { ok: true };
    const names = hanging.map((status) => `${status.hook} (${status.function})`).join(", ");
    return { ok: false, reason: `snapshot hooks pass their time limit again and again: ${names}` };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#hooks.clear();
  }

  #call<Op extends SnapshotOperation>(
    operation: Op,
    request: Request<Op>,
    context: CallContext,
  ): Promise<Reply<Op>> {
    const plan = this.#hooks.plan(operation);
    if (plan === undefined) return callSnapshotter(this.backend, operation, request, context);
    return runPlan({ operation, plan, backend: this.backend, log: this.#log }, request, context);
  }
}
