import type { ContainerInfo } from "@aeon/containerd";
import * as v from "valibot";
import { expect, test } from "vitest";
import { dindConfig } from "./config.ts";
import { explainSettings, settingsOf } from "./settings-of.ts";

const info = (labels: Readonly<Record<string, string>>): ContainerInfo => ({
  id: "c",
  labels,
  image: "",
  runtime: "",
  snapshotter: "",
  snapshotKey: "",
  sandbox: "",
  createdAt: 0n,
  updatedAt: 0n,
  spec: undefined,
});
const config = v.parse(dindConfig, {
  "registry-mirrors": ["https://all.example"],
  "tenant-mirrors": ["team-a=https://a.example", "team-a=https://a2.example", "team-ab=https://ab.example"],
  debug: true,
});
const mirrors = (labels: Readonly<Record<string, string>>, namespace: string) =>
  settingsOf(config, info(labels), namespace).registryMirrors;
const sourceOf = (namespace: string, labels: Readonly<Record<string, string>>, key: string) =>
  explainSettings(config, info(labels), namespace, settingsOf(config, info(labels), namespace)).find(
    (setting) => setting.key === key,
  )?.source;

test("a tenant is a pod's namespace, else containerd's, and has its own caches and nobody else's", () => {
  const pod = { "io.kubernetes.pod.namespace": "team-a" };
  expect(mirrors(pod, "k8s.io")).toEqual(["https://a.example", "https://a2.example"]);
  expect(mirrors({}, "team-ab")).toEqual(["https://ab.example"]);
  expect(mirrors({}, "k8s.io")).toEqual(["https://all.example"]);
  expect(sourceOf("k8s.io", pod, "registry-mirrors")).toBe("dind.tenant-mirrors of team-a");
  expect(sourceOf("k8s.io", {}, "registry-mirrors")).toBe("[dind]");
  expect(sourceOf("k8s.io", {}, "debug")).toBe("[dind]");
  expect(sourceOf("k8s.io", {}, "network")).toBe("default");
});
