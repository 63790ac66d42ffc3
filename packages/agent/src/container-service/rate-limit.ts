/** Lets `perSecond` calls through over time, and twice as many at once after a rest. */
export class RateLimit {
  readonly #perSecond: number;
  readonly #now: () => number;
  #tokens: number;
  #at: number;

  /** `now` in milliseconds, monotonic. */
  constructor(perSecond: number, now: () => number = () => performance.now()) {
    this.#perSecond = perSecond;
    this.#now = now;
    this.#tokens = this.#most;
    this.#at = now();
  }

  get #most(): number {
    return Math.max(1, this.#perSecond * 2);
  }

  /** 0 when the call may go on, else the milliseconds until one may. */
  take(): number {
    const now = this.#now();
    this.#tokens = Math.min(this.#most, this.#tokens + ((now - this.#at) / 1000) * this.#perSecond);
    this.#at = now;
    if (this.#tokens < 1) return Math.ceil(((1 - this.#tokens) / this.#perSecond) * 1000);
    this.#tokens -= 1;
    return 0;
  }
}
