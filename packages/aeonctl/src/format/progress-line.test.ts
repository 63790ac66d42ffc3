import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { ProgressLine, progressText } from "./progress-line.ts";

test.each([
  ["waiting", 0, 0, "waiting"],
  ["reading", 1024 * 1024, 0, "reading 1.0 MiB"],
  ["reading", 50, 100, "reading [############------------] 50% of 100 B"],
  ["reading", 150, 100, "reading [########################] 100% of 100 B"],
])("%s %i of %i", (what, bytes, total, text) => {
  expect(progressText(what, bytes, total)).toBe(text);
});

/** What is written around a piece of work. */
function written(isTTY: boolean): string {
  const stream = Object.assign(new PassThrough(), { isTTY });
  {
    using line = new ProgressLine(stream);
    line.show("reading", 50, 100);
  }
  return String(stream.read() ?? "");
}

test("writes to terminals only, and takes its line back", () => {
  expect(written(false)).toBe("");
  const clear = "\r\u001B[K";
  expect(written(true)).toBe(`${clear}${progressText("reading", 50, 100)}${clear}`);
});
