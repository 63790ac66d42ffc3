import { expect, test } from "vitest";
import { Lifetime } from "./lifetime.ts";

test("everything ends once, in reverse order, after the signal, whatever fails", async () => {
  const life = new Lifetime();
  const order: string[] = [];
  life.signal.addEventListener("abort", () => order.push("abort"));
  life.defer(() => void order.push("first"));
  life.defer(() => {
    order.push("second");
    throw new Error("second failed");
  });
  life.use({
    async [Symbol.asyncDispose]() {
      order.push("third");
    },
  });
  const ended = life[Symbol.asyncDispose]();
  await expect(ended).rejects.toThrow("second failed");
  await expect(life[Symbol.asyncDispose]()).rejects.toThrow("second failed");
  expect(order).toEqual(["abort", "third", "second", "first"]);
});
