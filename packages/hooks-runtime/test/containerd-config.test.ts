import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findContainerd, type ContainerdLine } from "@aeon/standalone";
import { temporaryFolder, testCache } from "@aeon/testkit";
import { describe, expect, test } from "vitest";
import { runCtk } from "../src/ctk/run.ts";
import { call } from "./toolkit.ts";

async function setUp(version: ContainerdLine) {
  const folder = await temporaryFolder("config");
  const { containerd } = await findContainerd({ line: version, cache: testCache });
  const config = join(folder.path, "etc/containerd/config.toml");
  await mkdir(join(folder.path, "etc/containerd/conf.d"), { recursive: true });
  const output: string[] = [];
  const write = (text: string) => void output.push(text);
  return {
    config,
    dropIns: join(folder.path, "etc/containerd/conf.d"),
    output,
    ctk: (...args: string[]) =>
      runCtk(["--prefix", folder.path, "runtime", ...args, "--runtime", "containerd"], {
        node: process.execPath,
        folder: folder.path,
        searchPath: "",
        print: write,
        complain: write,
      }),
    /** Settings as containerd reads them. */
    dump: async () => (await call(containerd, ["--config", config, "config", "dump"])).stdout,
    containerd,
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

const settings = `[plugins."ID"]
  enable_selinux = true
  [plugins."ID".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."ID".containerd.runtimes.runc.options]
      SystemdCgroup = true
`;
const two = `version = 2\nimports = ["IMPORTS"]\n# ours\n${settings.replaceAll("ID", "io.containerd.grpc.v1.cri")}`;
const three = `version = 3\nimports = ["IMPORTS"]\n# ours\n${settings.replaceAll("ID", "io.containerd.cri.v1.runtime")}`;
const cases: [ContainerdLine, string, boolean][] = [
  ["1.7", two, false],
  ["2.1", two, false],
  ["2.1", three, true],
];

describe.each(cases)("containerd %s", (version, template, beside) => {
  test(`a configuration of version ${template.slice(10, 11)}: only the handler changes for containerd`, async () => {
    await using setup = await setUp(version);
    const text = template.replace("IMPORTS", join(setup.dropIns, "*.toml"));
    await writeFile(setup.config, text);
    const before = await setup.dump();
    expect(before).toContain("enable_selinux = true");
    expect(await setup.ctk("configure", "--default", "--containerd", setup.containerd)).toBe(0);
    const after = await setup.dump();
    expect(after).toContain("container-hooks-runtime");
    expect(after).toMatch(/default_runtime_name = ['"]container-hooks-runtime['"]/);
    expect(after.match(/SystemdCgroup = true/g)).toHaveLength(2);
    expect(after).toContain("enable_selinux = true");
    expect((await readFile(setup.config, "utf8")) === text).toBe(beside);
    expect(await readdir(setup.dropIns)).toEqual(beside ? ["99-container-hooks-runtime.toml"] : []);
    expect(setup.output.join("")).toContain("Wrote updated config to");

    expect(await setup.ctk("unconfigure")).toBe(0);
    expect(await readFile(setup.config, "utf8")).toBe(text);
    expect(await readdir(setup.dropIns)).toEqual([]);
    expect(await setup.dump()).toBe(before);
  });
});

test("a file beside the main one that takes something away is taken back, and the main one is changed", async () => {
  await using setup = await setUp("2.1");
  const text = three.replace("IMPORTS", join(setup.dropIns, "*.toml"));
  await writeFile(setup.config, text);
  // A containerd that, as 1.7 does, replaces whole plugins by what an imported file says.
  const replacing = join(setup.dropIns, "../containerd");
  const script = `#!/bin/sh\nfor f in '${setup.dropIns}'/*.toml; do [ -e "$f" ] && exec cat "$f"; done\nexec cat "$2"\n`;
  await writeFile(replacing, script, { mode: 0o755 });
  expect(await setup.ctk("configure", "--containerd", replacing)).toBe(0);
  expect(setup.output.join("")).toMatch(
    /level=warning msg=".*would change more .*changing the main configuration instead/,
  );
  expect(await readdir(setup.dropIns)).toEqual([]);
  expect(await readFile(setup.config, "utf8")).toContain('BinaryName = "/usr/bin/container-hooks-runtime"');
});

test("a dry run prints a diff", async () => {
  await using setup = await setUp("1.7");
  await writeFile(setup.config, two.replace("IMPORTS", "/nowhere/*.toml"));
  expect(await setup.ctk("configure", "--dry-run", "--containerd", setup.containerd)).toBe(0);
  expect(setup.output.join("")).toMatch(/^\+ *BinaryName = "\/usr\/bin\/container-hooks-runtime"$/m);
  expect(setup.output.join("")).not.toMatch(/^-[^-]/m);
});
