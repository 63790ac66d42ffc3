import { namespace, snapshotKey, type ContainerEntry } from "@aeon/core";
import { describe, expect, test } from "vitest";
import { containersLabel, enabledLabel, excludeContainersLabel, onRestartLabel } from "./labels.ts";
import { mustKeep, onRestartOf, type PolicyInput } from "./policy.ts";

const entry = (labels: Record<string, string>, sandbox = false): ContainerEntry => ({
  snapshotKey: snapshotKey("default/1/a"),
  namespace: namespace("default"),
  labels,
  sandbox,
  state: "ready",
  createdAt: 0n,
  updatedAt: 0n,
});
const yes = { [enabledLabel]: "true" };
const no = { [enabledLabel]: "false" };
const inPod: ContainerEntry = {
  ...entry({}),
  pod: { namespace: "n", name: "p", uid: "u", container: "worker" },
};
const input = (change: Partial<PolicyInput>): PolicyInput => ({
  policy: "label",
  entry: entry({}),
  snapshotLabels: {},
  podLabels: {},
  ...change,
});

describe("a container is kept", () => {
  test.each([
    ["with the label", input({ entry: entry(yes) })],
    ["with the label on its snapshot", input({ snapshotLabels: yes })],
    ["with the label on its pod", input({ podLabels: yes })],
    ["named by its pod", input({ entry: inPod, podLabels: { [containersLabel]: "app.worker" } })],
    [
      "named by its pod that asks",
      input({ entry: inPod, podLabels: { ...yes, [containersLabel]: "other, worker" } }),
    ],
    [
      "not excluded by its pod",
      input({ entry: inPod, podLabels: { ...yes, [excludeContainersLabel]: "proxy" } }),
    ],
    ["by the policy all", input({ policy: "all" })],
    ["by the policy all, known or not", input({ policy: "all", entry: undefined })],
  ])("%s", (_why, given) => {
    expect(mustKeep(given)).toBe(true);
  });
});

describe("a container is not kept", () => {
  test.each([
    ["without any label", input({})],
    ["with another value", input({ entry: entry({ [enabledLabel]: "yes" }) })],
    ["that declines, though its pod asks", input({ entry: entry(no), podLabels: yes })],
    ["that declines, though all are kept", input({ entry: entry(no), policy: "all" })],
    ["whose pod declines, though all are kept", input({ podLabels: no, policy: "all" })],
    ["that its pod does not name", input({ entry: inPod, podLabels: { ...yes, [containersLabel]: "app" } })],
    [
      "that its pod excludes, though all are kept",
      input({ entry: inPod, podLabels: { ...yes, [excludeContainersLabel]: "proxy,worker" }, policy: "all" }),
    ],
    ["that is a sandbox", input({ entry: entry(yes, true), policy: "all" })],
    ["by the policy none", input({ entry: entry(yes), policy: "none" })],
    ["that nobody knows, by label", input({ entry: undefined })],
  ])("%s", (_why, given) => {
    expect(mustKeep(given)).toBe(false);
  });
});

test.each([
  ["keep", {}, {}],
  ["fresh", { [onRestartLabel]: "fresh" }, { [onRestartLabel]: "keep" }],
  ["fresh", {}, { [onRestartLabel]: "fresh" }],
  ["keep", { [onRestartLabel]: "maybe" }, {}],
] as const)("a restarted container's files: %s (%#)", (expected, labels, podLabels) => {
  expect(onRestartOf(labels, podLabels, "keep")).toBe(expected);
});
