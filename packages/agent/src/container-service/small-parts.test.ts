import { containerId, namespace } from "@aeon/core";
import { expect, test } from "vitest";
import { folderName } from "./folder-name.ts";
import { allowedServices, optedIn } from "./opted-in.ts";
import { idsInCgroups } from "./peer-container.ts";
import { RateLimit } from "./rate-limit.ts";

test("a pod's calls are counted over time, with a burst after a rest", () => {
  let now = 0;
  const limit = new RateLimit(10, () => now);
  for (let call = 0; call < 20; call += 1) expect(limit.take()).toBe(0);
  expect(limit.take()).toBe(100);
  now = 100;
  expect(limit.take()).toBe(0);
  expect(limit.take()).toBe(100);
});

test("a process's container is named by its control groups, whoever made them", () => {
  const id = "0123456789abcdef".repeat(4);
  expect(idsInCgroups("0::/default/web\n")).toEqual(["default", "web"]);
  expect(idsInCgroups(`5:cpu:/kubepods/burstable/podx/${id}\n0::/\n`)).toContain(id);
  expect(idsInCgroups(`0::/kubepods.slice/kubepods-podx.slice/cri-containerd-${id}.scope\n`)).toContain(id);
  expect(idsInCgroups(`0::/kubepods.slice/podx.slice:cri-containerd:${id}\n`)).toContain(id);
});

const subject = (value?: string) => ({
  annotations: value === undefined ? {} : { "aeon.io/container-service": value },
  labels: {},
  sandbox: false,
});

test("what a pod says wins over the configuration, which can switch all off", () => {
  expect(optedIn(subject("true"), "annotation")).toBe(true);
  expect(optedIn(subject(), "annotation")).toBe(false);
  expect(optedIn(subject(), "all")).toBe(true);
  expect(optedIn(subject("false"), "all")).toBe(false);
  expect(optedIn(subject("true"), "none")).toBe(false);
  expect(optedIn({ ...subject("true"), sandbox: true }, "all")).toBe(false);
  expect(allowedServices({ "aeon.io/container-services": "info, backup" })).toEqual(
    new Set(["info", "backup"]),
  );
});

test.each(["..", ".", "", "a/b", "a\0", "-x", "x".repeat(200)])("%j names no folder", (uid) => {
  const owner = {
    namespace: namespace("k8s.io"),
    containerId: containerId("c"),
    pod: { namespace: "n", name: "p", uid },
  };
  expect(() => folderName(owner)).toThrow(expect.objectContaining({ reason: "POD_FOLDER_UNUSABLE" }));
});
