/** A queue that one side fills and the other iterates. */
class Outbox<T> implements AsyncIterable<T> {
  readonly #items: T[] = [];
  #wake: (() => void) | undefined;
  #ended = false;

  push(item: T): void {
    this.#items.push(item);
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (;;) {
      const item = this.#items.shift();
      if (item !== undefined) yield item;
      else if (this.#ended) return;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

/** A bidirectional call in which every request gets one reply before the next goes out. */
export class Duplex<Request, Reply> implements AsyncDisposable {
  readonly #outbox = new Outbox<Request>();
  readonly #replies: AsyncIterator<Reply>;

  constructor(call: (requests: AsyncIterable<Request>) => AsyncIterator<Reply>) {
    this.#replies = call(this.#outbox);
  }

  /** Sends a request and waits for its reply; undefined when the server ended the call. */
  async ask(request: Request): Promise<Reply | undefined> {
    this.#outbox.push(request);
    const { value, done } = await this.#replies.next();
    return done === true ? undefined : value;
  }

  /** Ends the request side, lets the server finish, and releases the call. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#outbox.end();
    await this.#replies.return?.();
  }
}
