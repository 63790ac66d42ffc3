import type { SnapshotHook, SnapshotHookRegistry, SnapshotOperation } from "@aeon/core";
import { errors } from "../errors.ts";
import { HookFunction, unsettledLimit } from "./hook-function.ts";
import type { FunctionMeter } from "./hook-metrics.ts";
import type { FunctionName } from "./failure.ts";
import { operationNames, operations, type PostFunction, type PreFunction } from "./operations.ts";

/** Longest time limit of a hook function, in milliseconds. */
export const timeoutLimitMs = 600_000;

export interface PreStep<Op extends SnapshotOperation> {
  readonly function: HookFunction;
  readonly call: PreFunction<Op>;
}
export interface PostStep<Op extends SnapshotOperation> {
  readonly function: HookFunction;
  readonly call: PostFunction<Op>;
}

/** What runs around one operation, in running order. */
export interface Plan<Op extends SnapshotOperation> {
  readonly pre: readonly PreStep<Op>[];
  readonly post: readonly PostStep<Op>[];
}

/** How one function of a registered hook does. */
export interface HookStatus extends FunctionName {
  readonly order: number;
  readonly onFailure: "ignore" | "fail";
  /** Time limits passed without a result in between. */
  readonly timeoutsInARow: number;
  /** Runs past their time limit that have not ended. */
  readonly unsettled: number;
}

type Plans = { readonly [Op in SnapshotOperation]: Plan<Op> | undefined };

interface Registered {
  readonly order: number;
  readonly steps: { readonly [Op in SnapshotOperation]: Steps<Op> };
}
interface Steps<Op extends SnapshotOperation> {
  readonly pre: PreStep<Op> | undefined;
  readonly post: PostStep<Op> | undefined;
}

/** Holds the hooks and the plan of each operation; a change makes new plans, so running calls keep theirs. */
export class RegisteredHooks implements SnapshotHookRegistry {
  readonly #meter: (name: FunctionName) => FunctionMeter;
  /** By name, in order of registration, which breaks ties of `order`. */
  readonly #hooks = new Map<string, Registered>();
  #plans: Plans = plansOf([]);

  constructor(meter: (name: FunctionName) => FunctionMeter) {
    this.#meter = meter;
  }

  /** Undefined when no hook takes part. */
  plan<Op extends SnapshotOperation>(operation: Op): Plan<Op> | undefined {
    return this.#plans[operation];
  }

  register(hook: SnapshotHook): Disposable {
    assertHook(hook);
    const { name } = hook;
    if (this.#hooks.has(name))
      throw errors.HOOK_EXISTS(`a snapshot hook named ${name} is registered already`, { details: { name } });
    const registered = this.#steps(hook);
    this.#hooks.set(name, registered);
    this.#replan();
    return {
      [Symbol.dispose]: () => {
        if (this.#hooks.get(name) !== registered) return;
        this.#hooks.delete(name);
        this.#replan();
      },
    };
  }

  clear(): void {
    this.#hooks.clear();
    this.#replan();
  }

  status(): readonly HookStatus[] {
    return [...this.#hooks.values()].flatMap(({ steps }) =>
      operationNames.flatMap((operation) =>
        [steps[operation].pre, steps[operation].post].flatMap((step) =>
          step === undefined ? [] : [statusOf(step.function)],
        ),
      ),
    );
  }

  #replan(): void {
    this.#plans = plansOf([...this.#hooks.values()].toSorted((one, other) => one.order - other.order));
  }

  #steps(hook: SnapshotHook): Registered {
    const order = hook.order ?? 0;
    const functionOf = (called: string): HookFunction => {
      const name = { hook: hook.name, function: called };
      const { timeoutMs, onFailure } = hook;
      return new HookFunction({ name, order, timeoutMs, onFailure, meter: this.#meter(name) });
    };
    const steps = <Op extends SnapshotOperation>(operation: Op): Steps<Op> => {
      const suffix = operation[0]?.toUpperCase() + operation.slice(1);
      const pre = operations[operation].pre(hook);
      const post = operations[operation].post(hook);
      return {
        pre: pre && { function: functionOf(`pre${suffix}`), call: pre },
        post: post && { function: functionOf(`post${suffix}`), call: post },
      };
    };
    return {
      order,
      steps: {
        prepare: steps("prepare"),
        view: steps("view"),
        mounts: steps("mounts"),
        commit: steps("commit"),
        remove: steps("remove"),
        stat: steps("stat"),
        update: steps("update"),
        list: steps("list"),
        usage: steps("usage"),
        cleanup: steps("cleanup"),
      },
    };
  }
}

/** True when a function passes its limit again and again, or has stopped being called because it hangs. */
export const isHanging = (status: HookStatus): boolean =>
  status.timeoutsInARow >= 3 || status.unsettled >= unsettledLimit;

function statusOf(step: HookFunction): HookStatus {
  const { name, order, onFailure, timeoutsInARow, unsettled } = step;
  return { ...name, order, onFailure, timeoutsInARow, unsettled };
}

function plansOf(hooks: readonly Registered[]): Plans {
  const plan = <Op extends SnapshotOperation>(operation: Op): Plan<Op> | undefined =>
    planOf<Op>(hooks.map(({ steps }) => steps[operation]));
  return {
    prepare: plan("prepare"),
    view: plan("view"),
    mounts: plan("mounts"),
    commit: plan("commit"),
    remove: plan("remove"),
    stat: plan("stat"),
    update: plan("update"),
    list: plan("list"),
    usage: plan("usage"),
    cleanup: plan("cleanup"),
  };
}

function planOf<Op extends SnapshotOperation>(steps: readonly Steps<Op>[]): Plan<Op> | undefined {
  const pre = steps.flatMap((step) => step.pre ?? []);
  const post = steps.flatMap((step) => step.post ?? []).toReversed();
  return pre.length + post.length === 0 ? undefined : { pre, post };
}

function assertHook(hook: SnapshotHook): void {
  const { name, order = 0, timeoutMs, onFailure } = hook;
  if (typeof name !== "string") throw errors.HOOK_INVALID("a snapshot hook needs a name");
  const label = name.slice(0, 64);
  const wrong = (what: string) =>
    errors.HOOK_INVALID(`snapshot hook ${label}: ${what}`, { details: { name: label } });
  if (!/^[\w./:-]{1,64}$/.test(name)) throw wrong("the name must be 1 to 64 letters, digits or . / : _ -");
  if (!Number.isFinite(order)) throw wrong("order must be a finite number");
  if (!Number.isInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > timeoutLimitMs)
    throw wrong(`timeoutMs must be an integer from 1 to ${timeoutLimitMs}`);
  if (onFailure !== "ignore" && onFailure !== "fail") throw wrong("onFailure must be ignore or fail");
}
