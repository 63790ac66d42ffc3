import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { defaultSpec, type RuntimeSpec, type SpecDeviceRule } from "@aeon/oci";
import { busyboxImage, launchContainerd, temporaryFolder } from "../src/index.ts";

let theirs: RuntimeSpec;
const ours = defaultSpec({ id: "c1", namespace: "default", args: ["true"] });

beforeAll(async () => {
  await using temporary = await temporaryFolder("spec");
  await using containerd = await launchContainerd({ version: "2.1" });
  const image = await busyboxImage({ file: join(temporary.path, "image.tar") });
  await containerd.ctr(["images", "import", image.file]);
  await containerd.ctr(["containers", "create", image.name, "c1", "true"]);
  const record: { Spec: RuntimeSpec } = JSON.parse(await containerd.ctr(["containers", "info", "c1"]));
  theirs = record.Spec;
});

const ruleText = (rules: readonly SpecDeviceRule[] = []): readonly string[] =>
  rules
    .map(({ allow, type, major, minor, access }) => [allow, type, major, minor, access].join(" "))
    .toSorted();

test("namespaces, mounts, cgroup, limits and capabilities are containerd's own", () => {
  expect(new Set(ours.linux?.namespaces)).toEqual(new Set(theirs.linux?.namespaces));
  expect(ours.mounts).toEqual(theirs.mounts);
  expect(ours.linux?.cgroupsPath).toBe(theirs.linux?.cgroupsPath);
  expect(ours.process?.rlimits).toEqual(theirs.process?.rlimits);
  expect(ours.process?.capabilities).toEqual(theirs.process?.capabilities);
  expect(ours.process?.noNewPrivileges).toBe(theirs.process?.noNewPrivileges);
});

test("the same devices are allowed, and no path is less protected", () => {
  expect(ruleText(ours.linux?.resources?.devices)).toEqual(ruleText(theirs.linux?.resources?.devices));
  expect(ours.linux?.maskedPaths).toEqual(expect.arrayContaining([...(theirs.linux?.maskedPaths ?? [])]));
  expect(ours.linux?.readonlyPaths).toEqual(expect.arrayContaining([...(theirs.linux?.readonlyPaths ?? [])]));
});
