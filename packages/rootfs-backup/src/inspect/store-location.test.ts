import { expect, test } from "vitest";
import { tableOfLocation } from "./store-location.ts";

test("a folder", () => {
  expect(tableOfLocation("/mnt/store/")).toEqual({ type: "posix", path: "/mnt/store" });
  expect(tableOfLocation("store")).toEqual({ type: "posix", path: `${process.cwd()}/store` });
});

test("a bucket with its service", () => {
  expect(
    tableOfLocation("s3://backups/prod/eu/?endpoint=http://127.0.0.1:9000&path-style=false&region=x"),
  ).toEqual({
    type: "s3",
    bucket: "backups",
    prefix: "prod/eu",
    endpoint: "http://127.0.0.1:9000",
    region: "x",
    "path-style": false,
  });
  expect(tableOfLocation("s3://backups?region=eu-central-1")).toEqual({
    type: "s3",
    bucket: "backups",
    prefix: "",
    endpoint: "https://s3.eu-central-1.amazonaws.com",
    region: "eu-central-1",
  });
});

test.each(["", "gs://bucket", "https://host/bucket"])("%j is refused", (location) => {
  expect(() => tableOfLocation(location)).toThrow(
    expect.objectContaining({ reason: "STORE_ADDRESS_INVALID" }),
  );
});
