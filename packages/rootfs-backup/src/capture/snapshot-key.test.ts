import { snapshotKey } from "@aeon/core";
import { expect, test } from "vitest";
import { containerKey } from "./snapshot-key.ts";

test.each([
  ["default/12/web", { namespace: "default", clientKey: "web" }],
  ["k8s.io/7/a/b c", { namespace: "k8s.io", clientKey: "a/b c" }],
])("%s may be a container's", (key, parts) => {
  expect(containerKey(snapshotKey(key))).toEqual(parts);
});

test.each([
  "default/12/extract-581885902-FIzn sha256:abc",
  "default/12/sha256:abc",
  "default/12//var/lib/kubelet/volume",
  "web",
  "default/x/web",
  "default/12/",
  "",
])("%j is no container's", (key) => {
  expect(containerKey(snapshotKey(key))).toBeUndefined();
});
