import { Lifetime } from "@aeon/core";

/** Ends what was started when the rest of the start fails. */
export class PartialLifetime extends Lifetime {
  #kept = false;

  /** The lifetime for the caller to end; leaving the scope no longer does. */
  keep(): AsyncDisposable {
    this.#kept = true;
    return { [Symbol.asyncDispose]: () => super[Symbol.asyncDispose]() };
  }

  /** Does something over and over until the lifetime ends. */
  every(intervalMs: number, work: () => void): void {
    const timer = setInterval(work, intervalMs).unref();
    this.defer(() => clearInterval(timer));
  }

  override [Symbol.asyncDispose](): Promise<void> {
    return this.#kept ? Promise.resolve() : super[Symbol.asyncDispose]();
  }
}
