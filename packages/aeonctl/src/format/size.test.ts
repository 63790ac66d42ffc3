import { expect, test } from "vitest";
import { humanSize } from "./size.ts";

test.each([
  [0, "0 B"],
  [1, "1 B"],
  [1023, "1023 B"],
  [1024, "1.0 KiB"],
  [1536, "1.5 KiB"],
  [102_400, "100 KiB"],
  [1024 * 1024 - 1, "1.0 MiB"],
  [1024 * 1023.5, "1024 KiB"],
  [1024 ** 3 * 20, "20.0 GiB"],
  [1024 ** 5 * 7.25, "7.3 PiB"],
  [1024 ** 7, "1024 EiB"],
])("%d bytes are %s", (bytes, text) => {
  expect(humanSize(bytes)).toBe(text);
});
