import { namespace, snapshotKey, type ContainerEntry } from "@aeon/core";
import { describe, expect, test } from "vitest";
import { enabledLabel, mustKeep, type PolicyInput } from "./policy.ts";

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
const input = (change: Partial<PolicyInput>): PolicyInput => ({
  policy: "label",
  entry: entry({}),
  snapshotLabels: {},
  podEnabled: false,
  ...change,
});

describe("a container is kept", () => {
  test.each([
    ["with the label", input({ entry: entry(yes) })],
    ["with the label on its snapshot", input({ snapshotLabels: yes })],
    ["with the label on its pod", input({ podEnabled: true })],
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
    ["that declines, though its pod asks", input({ entry: entry(no), podEnabled: true })],
    ["that declines, though all are kept", input({ entry: entry(no), policy: "all" })],
    ["that is a sandbox", input({ entry: entry(yes, true), policy: "all" })],
    ["by the policy none", input({ entry: entry(yes), policy: "none" })],
    ["that nobody knows, by label", input({ entry: undefined })],
  ])("%s", (_why, given) => {
    expect(mustKeep(given)).toBe(false);
  });
});
