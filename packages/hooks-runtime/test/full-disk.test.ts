import { execFileSync } from "node:child_process";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { busyboxImage, containerdVersions, launchContainerd, temporaryFolder } from "@aeon/testkit";
import { beforeAll, describe, expect, test } from "vitest";
import { smallDisk } from "./small-disk.ts";
import { argumentProbe, buildPrograms, call, runc, testToolkit } from "./toolkit.ts";

beforeAll(buildPrograms);

const hooks = { createRuntime: [{ path: "/bin/true" }] };
const rule = (kind: string) => ({ name: "a", when: kind === "static" ? {} : { commands: "sh" }, hooks });

describe.each(["static", "dynamic"])("a bundle that cannot be written, %s rules", (kind) => {
  test.each(["full", "read-only"])(
    "%s: a clear error, the spec as it was, other calls go on",
    async (disk) => {
      await using folder = await temporaryFolder("disk");
      const probe = await argumentProbe(folder.path);
      await using toolkit = await testToolkit([probe.path]);
      await using bundle = await smallDisk(join(folder.path, "bundle"), "1m");
      const env = Array.from({ length: 300 }, (_, index) => `V${index}=${"x".repeat(1000)}`);
      const spec = JSON.stringify({ ociVersion: "1.1.0", process: { args: ["sh"], env } });
      const config = join(bundle.path, "config.json");
      await writeFile(config, spec);
      await toolkit.rules({ version: 1, rules: [rule(kind)] });
      await toolkit.compile();
      await (disk === "full" ? bundle.fill(100_000) : bundle.readOnly());
      const log = join(folder.path, "log.json");
      const run = (...args: string[]) =>
        call(toolkit.launcher, ["--log", log, "--log-format", "json", ...args], { cwd: bundle.path });
      const why = disk === "full" ? /SPEC_WRITE_FAILED.*ENOSPC/ : /SPEC_WRITE_FAILED.*EROFS/;
      expect(await run("create", "c1")).toMatchObject({ code: 1, stderr: expect.stringMatching(why) });
      expect(JSON.parse(await readFile(log, "utf8"))).toMatchObject({
        level: "error",
        msg: expect.stringMatching(why),
      });
      expect((await readFile(config, "utf8")) === spec).toBe(true);
      expect((await readdir(bundle.path)).filter((name) => name !== "ballast")).toEqual(["config.json"]);
      for (const command of ["start", "state", "kill", "delete", "exec"])
        expect(await run(command, "c1")).toMatchObject({ code: 7, stderr: "" });
      if (disk === "read-only") return;
      await bundle.free();
      expect(await run("create", "c1")).toMatchObject({ code: 7, stderr: "" });
      expect(await readFile(config, "utf8")).toContain('"hooks":{"createRuntime"');
    },
  );
});

test("state and log that cannot be written stop no container: rules hold all the same", async () => {
  await using folder = await temporaryFolder("disk");
  const probe = await argumentProbe(folder.path);
  await using toolkit = await testToolkit([probe.path]);
  const bundle = join(folder.path, "bundle");
  await mkdir(bundle);
  await toolkit.rules({ version: 1, rules: [rule("static")] });
  await toolkit.compile();
  await toolkit.rules({ version: 1, rules: [rule("dynamic")] });
  execFileSync("mount", ["--bind", toolkit.folder, toolkit.folder]);
  execFileSync("mount", ["-o", "remount,bind,ro", toolkit.folder]);
  try {
    await writeFile(join(bundle, "config.json"), '{"ociVersion":"1.1.0","process":{"args":["sh"]}}');
    expect(await call(toolkit.launcher, ["create", "c1"], { cwd: bundle })).toMatchObject({
      code: 7,
      stderr: "",
    });
    expect(await readFile(join(bundle, "config.json"), "utf8")).toContain('"hooks":{"createRuntime"');
  } finally {
    execFileSync("umount", [toolkit.folder]);
  }
});

test.each(containerdVersions)("containerd %s shows why, and runs the next container", async (version) => {
  await using toolkit = await testToolkit([await runc()]);
  await using folder = await temporaryFolder("disk");
  await using containerd = await launchContainerd({ version, folder: join(folder.path, "c") });
  // Over the folder that bundles are made in; a containerd that starts would unmount it.
  await using disk = await smallDisk(join(folder.path, "c/state/io.containerd.runtime.v2.task"), "32m");
  const image = await busyboxImage({ file: join(folder.path, "image.tar") });
  await containerd.ctr(["images", "import", image.file]);
  await toolkit.rules({ version: 1, rules: [rule("static")] });
  await toolkit.compile();
  const large = Array.from({ length: 5 }, (_, index) => ["--env", `V${index}=${"x".repeat(100_000)}`]).flat();
  const run = (id: string) =>
    containerd.ctr(["run", "--rm", "--runc-binary", toolkit.launcher, ...large, image.name, id, "true"]);
  await disk.fill(800_000);
  await expect(run("one")).rejects.toThrow(/container-hooks: SPEC_WRITE_FAILED: .*ENOSPC/);
  expect(await containerd.ctr(["tasks", "list", "--quiet"])).toBe("");
  await disk.free();
  await run("two");
});
