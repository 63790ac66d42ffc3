import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { bundlePrograms } from "@aeon/standalone";
import { launchContainerd, temporaryFolder, testCache } from "@aeon/testkit";
import { expect, test } from "vitest";

const run = promisify(execFile);
const name = "localhost/aeon:latest";

interface Bom {
  readonly packages: readonly {
    readonly name: string;
    readonly versionInfo: string;
    readonly externalRefs: readonly [{ readonly referenceLocator: string }];
  }[];
}

test(
  "the same bundles and packages give the same image, which says what is in it and runs",
  { timeout: 300_000 },
  async () => {
    await using folder = await temporaryFolder("i");
    const programs = await bundlePrograms({
      workspace: join(import.meta.dirname, "../../.."),
      target: join(folder.path, "programs"),
      lock: join(testCache, "bundle.lock"),
      signal: new AbortController().signal,
    });
    const file = join(folder.path, "image.tar");
    const bom = join(folder.path, "bom.json");
    const build = async (): Promise<string> => {
      const archives = join(testCache, "agent-image");
      const aeonctl = join(folder.path, "programs/aeonctl");
      const flags = ["-f", file, "--aeonctl", aeonctl, "--archives", archives, "--sbom", bom];
      return (await run(process.execPath, [programs.agent, "image", "build", ...flags])).stdout;
    };
    const first = await build();
    expect(first).toMatch(/^localhost\/aeon:latest sha256:[0-9a-f]{64}\n$/);
    expect(await build()).toBe(first);

    const { packages }: Bom = JSON.parse(await readFile(bom, "utf8"));
    const located = packages.map(({ externalRefs: [{ referenceLocator }] }) => referenceLocator);
    expect(located).toContain(`pkg:generic/node@${process.versions.node}`);
    for (const part of [/^pkg:deb\/debian\/libc6@/, /^pkg:npm\/koffi@/, /^pkg:npm\/%40grpc\/grpc-js@/])
      expect(located.some((locator) => part.test(locator))).toBe(true);
    expect(new Set(located).size).toBe(located.length);

    await using containerd = await launchContainerd();
    await containerd.ctr(["images", "import", file]);
    const script =
      "aeon --version && aeonctl --version && for p in mkfs.ext4 mount nsenter mkfs.erofs; do command -v $p; done && cat /usr/share/aeon/agent.spdx.json";
    const said = await containerd.ctr(["run", "--rm", "--net-host", name, "t", "sh", "-c", script]);
    expect(said).toContain("/mkfs.erofs\n");
    expect(said.slice(said.indexOf("{"))).toBe(await readFile(bom, "utf8"));
  },
);
