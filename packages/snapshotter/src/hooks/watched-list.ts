import type { AeonError, SnapshotInfo } from "@aeon/core";
import { backendError, type HookFailure } from "./failure.ts";
import { infoReply, ShapeError } from "./shape.ts";

type Infos = AsyncIterable<SnapshotInfo>;

/** What the stream of a list needs to know of the hook that wraps it. */
export interface ListGuard {
  /** Milliseconds the hook may keep one entry. */
  readonly timeoutMs: number;
  /** Records a failure; gives the error that ends the stream, if the hook's policy is `fail`. */
  failed(failure: HookFailure): AeonError | undefined;
  /** The error of a stream that cannot go on. */
  broken(failure: HookFailure): AeonError;
}

/**
 * The stream of a List between a hook and what lies below it. A hook may wrap the stream; each entry it gives
 * is checked and must come within the hook's time limit, not counting the time the stream below takes.
 */
export class WatchedList {
  readonly #guard: ListGuard;
  readonly #below: AsyncIterator<SnapshotInfo>;
  #pending = 0;
  #touched = false;
  #revoked = false;
  #belowError: unknown;

  constructor(below: Infos, guard: ListGuard) {
    this.#guard = guard;
    this.#below = below[Symbol.asyncIterator]();
  }

  /** True once the hook read from the stream, so that what it left is no longer the whole list. */
  get touched(): boolean {
    return this.#touched;
  }

  /** The stream as the hook sees it. */
  readonly source: Infos = {
    [Symbol.asyncIterator]: () => ({
      next: () => this.#next(),
      return: async () => {
        await this.revoke();
        return { done: true, value: undefined };
      },
    }),
  };

  /** The untouched stream, for when the hook leaves it alone. */
  readonly rest: Infos = { [Symbol.asyncIterator]: () => this.#below };

  /** Ends the stream below; a hook that still reads gets no more. */
  async revoke(): Promise<void> {
    if (this.#revoked) return;
    this.#revoked = true;
    await this.#below.return?.();
  }

  /** The hook's stream, checked. */
  async *guarded(rewritten: Infos): AsyncGenerator<SnapshotInfo, void, undefined> {
    const iterator = this.#start(rewritten);
    try {
      for (;;) {
        const result = await this.#nextOf(iterator);
        if (result.done === true) return;
        const info = this.#checked(result.value);
        if (info !== undefined) yield info;
      }
    } finally {
      leave(iterator);
      await this.revoke();
    }
  }

  async #next(): Promise<IteratorResult<SnapshotInfo, undefined>> {
    if (this.#revoked) return { done: true, value: undefined };
    this.#touched = true;
    this.#pending += 1;
    try {
      const result = await this.#below.next();
      return result.done === true ? { done: true, value: undefined } : result;
    } catch (error) {
      this.#belowError = error;
      throw error;
    } finally {
      this.#pending -= 1;
    }
  }

  #start(rewritten: Infos): AsyncIterator<unknown> {
    try {
      return rewritten[Symbol.asyncIterator]();
    } catch (error) {
      throw this.#guard.broken({ cause: "threw", error });
    }
  }

  async #nextOf(iterator: AsyncIterator<unknown>): Promise<IteratorResult<unknown>> {
    const { promise, resolve, reject } = Promise.withResolvers<IteratorResult<unknown>>();
    const { timeoutMs } = this.#guard;
    const timer = setInterval(() => {
      if (this.#pending > 0) return;
      const error = new Error(`no entry of the list within ${timeoutMs} ms`);
      reject(this.#guard.broken({ cause: "timed-out", error }));
    }, timeoutMs);
    next(iterator).then(resolve, (error: unknown) =>
      reject(
        error !== undefined && error === this.#belowError
          ? backendError(error, "list")
          : this.#guard.broken({ cause: "threw", error }),
      ),
    );
    try {
      return await promise;
    } finally {
      clearInterval(timer);
    }
  }

  #checked(value: unknown): SnapshotInfo | undefined {
    try {
      return infoReply(value);
    } catch (error) {
      if (!(error instanceof ShapeError)) throw error;
      const refusal = this.#guard.failed({ cause: "garbage", error });
      if (refusal !== undefined) throw refusal;
      return undefined;
    }
  }
}

async function next(iterator: AsyncIterator<unknown>): Promise<IteratorResult<unknown>> {
  const result = await iterator.next();
  if (typeof result !== "object" || result === null) throw new ShapeError("the stream gave no result");
  return result;
}

/** Tells a hook's stream that nobody reads on, without waiting for it. */
function leave(iterator: AsyncIterator<unknown>): void {
  const told = async (): Promise<void> => void (await iterator.return?.());
  told().catch(() => {});
}
