import { errorMessage, type CallContext, type HookContext, type Snapshotter } from "@aeon/core";
import type { FailureCause, FunctionName, HookFailure } from "./failure.ts";
import type { FunctionMeter } from "./hook-metrics.ts";
import { ShapeError } from "./shape.ts";

/** Runs of one function that may hang past their limit; further runs fail at once until one of them ends. */
export const unsettledLimit = 16;

export interface HookCall extends CallContext {
  readonly backend: Snapshotter;
  readonly startedAt: number;
}

export type HookResult<T> = { readonly ok: true; readonly value: T } | ({ readonly ok: false } & HookFailure);

export interface HookFunctionOptions {
  readonly name: FunctionName;
  readonly order: number;
  readonly timeoutMs: number;
  readonly onFailure: "ignore" | "fail";
  readonly meter: FunctionMeter;
}

/**
 * Runs one function of a hook within its time limit, whatever the function does: a throw, a hang, garbage and
 * a result after the limit all become a {@link HookFailure}.
 */
export class HookFunction {
  readonly name: FunctionName;
  readonly order: number;
  readonly onFailure: "ignore" | "fail";
  readonly timeoutMs: number;
  readonly #meter: FunctionMeter;
  #unsettled = 0;
  #timeoutsInARow = 0;

  constructor(options: HookFunctionOptions) {
    this.name = options.name;
    this.order = options.order;
    this.onFailure = options.onFailure;
    this.timeoutMs = options.timeoutMs;
    this.#meter = options.meter;
  }

  /** Runs past their limit that have not ended. */
  get unsettled(): number {
    return this.#unsettled;
  }

  get timeoutsInARow(): number {
    return this.#timeoutsInARow;
  }

  /** Counts a failure that came to light after the function returned. */
  countFailure(cause: FailureCause): void {
    this.#meter.failed(cause);
  }

  /**
   * `leaveOnAbort`: give up as soon as the call is canceled. Otherwise the function is told through its signal
   * and may still finish its bookkeeping within the limit.
   */
  async run<T>(
    call: HookCall,
    leaveOnAbort: boolean,
    work: (context: HookContext) => Promise<T>,
  ): Promise<HookResult<T>> {
    if (leaveOnAbort && call.signal.aborted) return failure("canceled", call.signal.reason);
    const startedAt = performance.now();
    const result =
      this.#unsettled < unsettledLimit
        ? await this.#race(call, leaveOnAbort, work)
        : failure("hanging", new Error(`${this.#unsettled} earlier runs have not ended`));
    this.#meter.ran(performance.now() - startedAt);
    if (result.ok) this.#timeoutsInARow = 0;
    else this.#meter.failed(result.cause);
    return result;
  }

  #race<T>(
    call: HookCall,
    leaveOnAbort: boolean,
    work: (context: HookContext) => Promise<T>,
  ): Promise<HookResult<T>> {
    const { promise, resolve } = Promise.withResolvers<HookResult<T>>();
    const limit = new AbortController();
    let running = true;
    let late = false;

    const finish = (result: HookResult<T>): void => {
      if (!running) return;
      running = false;
      clearTimeout(timer);
      call.signal.removeEventListener("abort", onAbort);
      resolve(result);
    };
    const abandon = (cause: "timed-out" | "canceled", reason: unknown): void => {
      if (!running) return;
      late = true;
      this.#meter.unsettled((this.#unsettled += 1));
      finish(failure(cause, reason));
      limit.abort(reason);
    };
    const onAbort = (): void => {
      if (leaveOnAbort) abandon("canceled", call.signal.reason);
      else limit.abort(call.signal.reason);
    };
    const timer = setTimeout(() => {
      this.#timeoutsInARow += 1;
      abandon("timed-out", new Error(`no result within ${this.timeoutMs} ms`));
    }, this.timeoutMs);
    const settle = (result: HookResult<T>): void => {
      if (!late) return finish(result);
      this.#meter.unsettled((this.#unsettled -= 1));
      this.#meter.late();
    };

    call.signal.addEventListener("abort", onAbort, { once: true });
    if (call.signal.aborted) onAbort();
    const context: HookContext = {
      backend: call.backend,
      caller: call.caller,
      signal: limit.signal,
      startedAt: call.startedAt,
    };
    started(() => work(context)).then(
      (value) => settle({ ok: true, value }),
      (error: unknown) => settle(thrown(error, limit.signal, call.signal)),
    );
    return promise;
  }
}

/** A function may throw before it gives a promise, or give something that is none. */
async function started<T>(work: () => Promise<T>): Promise<T> {
  return await work();
}

const failure = (cause: HookFailure["cause"], error: unknown) => ({ ok: false, cause, error }) as const;

function thrown(error: unknown, own: AbortSignal, call: AbortSignal): HookResult<never> {
  if (error instanceof ShapeError)
    return failure("garbage", new Error(`returned garbage: ${errorMessage(error)}`));
  return failure(own.aborted && call.aborted ? "canceled" : "threw", error);
}
