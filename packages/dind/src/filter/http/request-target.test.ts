import { expect, test } from "vitest";
import { matchRoute } from "../routes/table.ts";
import { formatQuery, parseTarget } from "./request-target.ts";

test.each([
  "/containers%2fcreate",
  "/v1.45%2fcontainers/create",
  "/v%31.45/containers/create",
  "http://x/containers/create",
  "unix://x/containers/create",
  "//containers/create",
  "/containers//create",
  "/containers/./create",
  "/containers/%2e%2e/create",
  "/containers/create#x",
  "/containers\\create",
  "/containers/create;a",
  "/v1.24.9/containers/create",
  "/v01.45/containers/create",
  "/v1.023/containers/create",
  "/containers/%00/json",
  "/containers/%zz/json",
  "/containers/json?a=%zz",
  "/containers/json?a=1;b=2",
  "*",
  "",
])("%s is refused", (target) => {
  expect(() => parseTarget(target)).toThrow(/path|version|query/);
});

test("a target is decoded once", () => {
  expect(parseTarget("/v1.45/images/a%3ab/json?x=%2525&y=a+b&z")).toEqual({
    version: "1.45",
    segments: ["images", "a:b", "json"],
    query: [
      ["x", "%25"],
      ["y", "a b"],
      ["z", ""],
    ],
  });
  expect(formatQuery([["x", "%25&"]])).toBe("?x=%2525%26");
});

test("routes match whole paths only", () => {
  expect(matchRoute("POST", ["containers", "create"]).route.name).toBe("ContainerCreate");
  expect(matchRoute("GET", ["images", "a", "b:c", "json"]).parameters).toEqual({ name: "a/b:c" });
  expect(() => matchRoute("POST", ["containers", "create", "x"])).toThrow("not available");
  expect(() => matchRoute("GET", ["debug", "pprof"])).toThrow("not available");
  expect(() => matchRoute("PATCH", ["containers", "json"])).toThrow("not available");
  expect(() => matchRoute("GET", ["containers", "a b", "json"])).toThrow("not available");
});
