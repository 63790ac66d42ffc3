/** Messages that one part puts and another one takes, in their order. */
export class MessageQueue<Message> implements AsyncIterable<Message> {
  #messages: Message[] = [];
  #isOver = false;
  #wake: () => void = () => {};

  put(message: Message): void {
    this.#messages.push(message);
    this.#wake();
  }

  /** Ends the queue when the work has ended, well or not; gives the work. */
  endWith<Result>(work: Promise<Result>): Promise<Result> {
    const end = (): void => {
      this.#isOver = true;
      this.#wake();
    };
    work.then(end, end);
    return work;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Message, void> {
    for (;;) {
      const messages = this.#messages;
      this.#messages = [];
      yield* messages;
      if (this.#messages.length > 0) continue;
      if (this.#isOver) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
  }
}
