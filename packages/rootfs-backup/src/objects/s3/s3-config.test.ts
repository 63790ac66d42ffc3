import { expect, test } from "vitest";
import * as v from "valibot";
import { backupConfig } from "../../config.ts";

const store = (text: object) => v.safeParse(backupConfig, { store: text });
const least = { type: "s3", endpoint: "https://s3.example.com", bucket: "backups" };

test("the least that a bucket needs", () => {
  const result = store(least);
  expect(result.success && result.output.store).toEqual({
    ...least,
    region: "us-east-1",
    prefix: "",
    profile: "default",
    "path-style": true,
    encryption: "none",
    "part-size": 16 << 20,
    concurrency: 4,
    "connect-timeout": 10_000,
    "idle-timeout": 60_000,
    "request-timeout": 600_000,
  });
});

test("a folder is the default", () => {
  expect(v.parse(backupConfig, {}).store).toEqual({ type: "posix" });
  expect(v.parse(backupConfig, { store: { path: "/x" } }).store).toEqual({ type: "posix", path: "/x" });
});

test.each([
  { endpoint: "https://s3.example.com/path" },
  { endpoint: "https://user:secret@s3.example.com" },
  { endpoint: "s3.example.com" },
  { endpoint: "ftp://s3.example.com" },
  { bucket: "Upper" },
  { prefix: "/slash" },
  { prefix: "a//b" },
  { "part-size": "4MiB" },
  { "part-size": "2GiB" },
  { concurrency: 0 },
  { encryption: "sse-c" },
  { path: "/of/posix" },
  { type: "posix" },
])("refuses %j", (change) => {
  expect(store({ ...least, ...change }).success).toBe(false);
});
