import { expect, test } from "vitest";
import { AeonError } from "./error.ts";
import { createLogger } from "./create-logger.ts";

async function capture() {
  const lines: string[] = [];
  const log = await createLogger({
    level: "info",
    format: "json",
    destination: { write: (line) => lines.push(line) },
  });
  return { log, lines, last: (): unknown => JSON.parse(lines.at(-1) ?? "null") };
}

test("one JSON object per line with facts, time and level", async () => {
  const { log, last } = await capture();
  log.child({ component: "snapshotter" }).info({ key: "k", size: 5n }, "prepared");
  expect(last()).toEqual({
    level: "info",
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    component: "snapshotter",
    key: "k",
    size: 5,
    msg: "prepared",
  });
});

test("the level of a running process applies to children made before", async () => {
  const { log, lines } = await capture();
  const child = log.child({ component: "x" });
  child.debug({}, "hidden");
  log.setLevel("debug");
  child.debug({}, "shown");
  log.setLevel("error");
  child.warn({}, "hidden");
  expect(lines).toHaveLength(1);
});

test("expected errors come without a stack, others with one", async () => {
  const { log, last } = await capture();
  const error = new AeonError("not-found", "GONE", "x is gone", {
    details: { key: "x" },
    cause: new TypeError("why"),
  });
  log.error({ error }, "failed");
  expect(last()).toMatchObject({
    error: {
      reason: "GONE",
      code: "not-found",
      message: "x is gone",
      details: { key: "x" },
      cause: { type: "TypeError" },
    },
  });
  expect(last()).not.toHaveProperty("error.stack");
  log.error({ error: new TypeError("odd") }, "failed");
  expect(last()).toHaveProperty("error.stack");
});
