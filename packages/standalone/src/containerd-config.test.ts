import { parse } from "smol-toml";
import { expect, test } from "vitest";
import { containerdConfig, type ContainerdSettings } from "./containerd-config.ts";

const settings = (facts: Partial<ContainerdSettings>): ContainerdSettings => ({
  release: [2, 1],
  folder: "/f",
  runc: "/bin/runc",
  architecture: "amd64",
  proxySnapshotters: [{ name: "aeon", address: "/s.sock", root: "/r", capabilities: ["remap-ids"] }],
  ...facts,
});
const config = (facts: Partial<ContainerdSettings>) => parse(containerdConfig(settings(facts)));

test("everything containerd writes is below its folder", () => {
  for (const release of [
    [1, 6],
    [1, 7],
    [2, 1],
  ] as const)
    expect(config({ release })).toMatchObject({
      root: "/f/root",
      state: "/f/state",
      grpc: { address: "/f/containerd.sock" },
      plugins: {
        "io.containerd.internal.v1.opt": { path: "/f/opt" },
        "io.containerd.nri.v1.nri": { disable: true, socket_path: "/f/nri.sock" },
      },
    });
});

test("2.x gets version 3 and may unpack images into proxy snapshotters", () => {
  expect(config({ cri: { snapshotter: "aeon", sandboxImage: "pause:1" } })).toMatchObject({
    version: 3,
    disabled_plugins: [],
    proxy_plugins: {
      aeon: { type: "snapshot", address: "/s.sock", exports: { root: "/r" }, capabilities: ["remap-ids"] },
    },
    plugins: {
      "io.containerd.transfer.v1.local": {
        unpack_config: [
          { platform: "linux/amd64", snapshotter: "overlayfs", differ: "walking" },
          { platform: "linux/amd64", snapshotter: "aeon", differ: "walking" },
        ],
      },
      "io.containerd.cri.v1.images": { snapshotter: "aeon", pinned_images: { sandbox: "pause:1" } },
      "io.containerd.cri.v1.runtime": { restrict_oom_score_adj: true },
    },
  });
});

test("1.7 gets version 2 with one CRI plugin", () => {
  expect(config({ release: [1, 7], cri: { snapshotter: "aeon", sandboxImage: "pause:1" } })).toMatchObject({
    version: 2,
    plugins: {
      "io.containerd.grpc.v1.cri": {
        sandbox_image: "pause:1",
        restrict_oom_score_adj: true,
        containerd: { snapshotter: "aeon", disable_snapshot_annotations: false },
        cni: { bin_dir: "/usr/lib/cni", conf_dir: "/f/cni" },
      },
    },
  });
});

test("releases before 1.7 know no exports", () => {
  expect(config({ release: [1, 6] })["proxy_plugins"]).toEqual({
    aeon: { type: "snapshot", address: "/s.sock" },
  });
});

test("without CRI settings the CRI plugins are off", () => {
  expect(config({})["disabled_plugins"]).toContain("io.containerd.cri.v1.runtime");
  expect(config({ release: [1, 7] })["disabled_plugins"]).toEqual(["io.containerd.grpc.v1.cri"]);
});
