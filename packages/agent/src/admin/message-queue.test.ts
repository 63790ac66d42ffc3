import { expect, test } from "vitest";
import { MessageQueue } from "./message-queue.ts";

test("gives what was put in its order, and ends with the work", async () => {
  const queue = new MessageQueue<number>();
  const work = Promise.withResolvers<string>();
  queue.put(1);
  const result = queue.endWith(work.promise);
  const taken: number[] = [];
  for await (const message of queue) {
    taken.push(message);
    if (message === 1) queue.put(2);
    if (message === 2) setImmediate(() => queue.put(3));
    if (message === 3) work.resolve("done");
  }
  expect(taken).toEqual([1, 2, 3]);
  expect(await result).toBe("done");
});

test("ends with work that fails", async () => {
  const queue = new MessageQueue<number>();
  const result = queue.endWith(Promise.reject(new Error("no")));
  for await (const _ of queue) throw new Error("nothing was put");
  await expect(result).rejects.toThrow("no");
});
