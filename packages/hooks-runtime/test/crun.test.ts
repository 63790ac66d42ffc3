import { copyFile, mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fetchPackageTree } from "@aeon/standalone";
import { debianFile, temporaryFolder, testCache } from "@aeon/testkit";
import { beforeAll, expect, test } from "vitest";
import { stages } from "../src/rules/stage.ts";
import { buildPrograms, call, runc, testToolkit } from "./toolkit.ts";

beforeAll(buildPrograms);

/** The C library is the machine's own, which belongs to the loader that starts programs. */
const ofLibc = /^(?:ld-linux|libc|libm|libdl|librt|libpthread|libresolv|libgcc_s)[.-]/;

/** crun of the machine's own suite with the libraries it needs, in a script that starts it. */
async function crunScript(folder: string): Promise<string> {
  const { root } = await fetchPackageTree({ cache: testCache, name: "crun" });
  const libraries = join(folder, "lib");
  await mkdir(libraries);
  for (const name of await readdir(root, { recursive: true })) {
    const file = basename(name);
    if (/\.so\.\d+$/.test(file) && !ofLibc.test(file)) await symlink(join(root, name), join(libraries, file));
  }
  const script = join(folder, "crun");
  // Cgroups are none of this test's business, and their setup differs from machine to machine.
  await writeFile(
    script,
    `#!/bin/sh\nLD_LIBRARY_PATH='${libraries}' exec '${join(root, "usr/bin/crun")}' --cgroup-manager=disabled "$@"\n`,
    { mode: 0o755 },
  );
  return script;
}

/** crun refuses machines with both versions of cgroups mounted: it sees the second only. */
const alone = 'umount -R /sys/fs/cgroup 2>/dev/null; mount -t cgroup2 none /sys/fs/cgroup && exec "$@"';

test.each(["static", "dynamic"])("hooks of all stages run in order on crun (%s)", async (kind) => {
  await using folder = await temporaryFolder("crun");
  const bundle = join(folder.path, "bundle");
  const rootfs = join(bundle, "rootfs");
  for (const name of ["bin", "proc", "dev", "sys"]) await mkdir(join(rootfs, name), { recursive: true });
  await copyFile(await debianFile("busybox-static", "bin/busybox"), join(rootfs, "bin/busybox"));
  await symlink("busybox", join(rootfs, "bin/sh"));
  await symlink("busybox", join(rootfs, "bin/cat"));
  const notes = join(folder.path, "notes");
  const note = join(folder.path, "note");
  await writeFile(note, `#!/bin/sh\necho "$1 $(tr -d '\\n')" >>'${notes}'\n`, { mode: 0o755 });
  await writeFile(join(rootfs, "note"), '#!/bin/sh\necho "$1 $(cat)" >>/notes\n', { mode: 0o755 });
  await using toolkit = await testToolkit([await crunScript(folder.path)]);
  const hooks = Object.fromEntries(
    stages.map((stage) => [
      stage,
      [{ path: stage === "startContainer" ? "/note" : note, args: ["note", stage] }],
    ]),
  );
  const when = kind === "static" ? {} : { commands: "^sh$" };
  await toolkit.rules({ version: 1, rules: [{ name: "all", when, hooks }] });
  await toolkit.compile();
  await call(await runc(), ["spec", "--bundle", bundle]);
  const spec = JSON.parse(await readFile(join(bundle, "config.json"), "utf8")) as Record<string, object>;
  Object.assign(spec["process"] ?? {}, { args: ["sh", "-c", "exit 7"], terminal: false });
  Object.assign(spec["root"] ?? {}, { readonly: false });
  await writeFile(join(bundle, "config.json"), JSON.stringify({ ...spec, ociVersion: "1.0.0" }));
  const id = `aeon-crun-${process.pid}-${kind}`;
  const run = ["--root", join(folder.path, "state"), "run", "--bundle", bundle, id];
  const { code, stderr } = await call("unshare", [
    "--mount",
    "sh",
    "-c",
    alone,
    "sh",
    toolkit.launcher,
    ...run,
  ]);
  expect({ code, stderr }).toEqual({ code: 7, stderr: "" });
  const lines = (await readFile(notes, "utf8")).trimEnd().split("\n");
  expect(lines.map((line) => line.split(" ")[0])).toEqual(
    stages.filter((stage) => stage !== "startContainer"),
  );
  for (const line of lines) expect(JSON.parse(line.slice(line.indexOf(" ")))).toMatchObject({ id });
  expect(await readFile(join(rootfs, "notes"), "utf8")).toMatch(/^startContainer \{/);
});
