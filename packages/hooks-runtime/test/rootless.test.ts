import { execFileSync } from "node:child_process";
import { chmod, chown, copyFile, cp, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { debianFile, temporaryFolder } from "@aeon/testkit";
import { beforeAll, expect, test } from "vitest";
import { buildPrograms, bundle as programs, call, runc } from "./toolkit.ts";

beforeAll(buildPrograms);

const user = 65_534;
/** A user without any rights; runc does without cgroups then. */
const asUser = [
  "setpriv",
  "--reuid",
  String(user),
  "--regid",
  String(user),
  "--clear-groups",
  "--inh-caps=-all",
];

test.each(["static", "dynamic"])(
  "a user's own installation and rules work without root (%s)",
  async (kind) => {
    await using folder = await temporaryFolder("rootless");
    await chmod(folder.path, 0o755);
    const home = join(folder.path, "home");
    const bundle = join(home, "bundle");
    for (const name of ["bin", "proc", "dev", "sys"])
      await mkdir(join(bundle, "rootfs", name), { recursive: true });
    await copyFile(await debianFile("busybox-static", "bin/busybox"), join(bundle, "rootfs/bin/busybox"));
    await symlink("busybox", join(bundle, "rootfs/bin/sh"));
    // Neither the cache nor this checkout may be readable for everybody.
    await copyFile(await runc(), join(home, "runc"));
    await copyFile(process.execPath, join(home, "node"));
    await cp(programs, join(home, "toolkit"), { recursive: true });
    const note = join(home, "note");
    await writeFile(note, `#!/bin/sh\necho "$1 $(id -u)" >>'${home}/notes'\n`, { mode: 0o755 });
    await mkdir(join(home, "run"), { mode: 0o700 });
    const etc = join(home, "root/etc/container-hooks");
    await mkdir(etc, { recursive: true });
    const hook = (stage: string) => [{ path: note, args: ["note", stage] }];
    const hooks = { createRuntime: hook("createRuntime"), poststop: hook("poststop") };
    const when = kind === "static" ? {} : { commands: "^sh$" };
    await writeFile(
      join(etc, "hooks.json"),
      JSON.stringify({ version: 1, rules: [{ name: "a", when, hooks }] }),
      {
        mode: 0o644,
      },
    );
    await writeFile(
      join(etc, "config.toml"),
      `[container-hooks-runtime]\nruntimes = [${JSON.stringify(join(home, "runc"))}]\n`,
    );
    execFileSync("chown", ["-R", `${user}:${user}`, home]);
    await chown(home, user, user);
    const run = (...words: readonly string[]) => {
      const [program = "", ...args] = [...asUser, ...words];
      return call(program, args, {
        cwd: home,
        env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", HOME: home, XDG_RUNTIME_DIR: join(home, "run") },
      });
    };
    const ctk = [
      join(home, "node"),
      join(home, "toolkit/container-hooks-ctk.js"),
      "--prefix",
      join(home, "root"),
    ];
    expect(await run(...ctk, "install", "--toolkit-root", join(home, "toolkit"))).toMatchObject({ code: 0 });
    const launcher = join(home, "root/usr/bin/container-hooks-runtime");
    expect(await run(launcher, "spec", "--rootless", "--bundle", bundle)).toMatchObject({
      code: 0,
      stderr: "",
    });
    const config = join(bundle, "config.json");
    const spec = JSON.parse(await readFile(config, "utf8")) as Record<string, object>;
    Object.assign(spec["process"] ?? {}, { args: ["sh", "-c", "exit 6"], terminal: false });
    await writeFile(config, JSON.stringify(spec));
    const words = [
      launcher,
      "--root",
      join(home, "state"),
      "run",
      "--bundle",
      bundle,
      `rootless-${process.pid}-${kind}`,
    ];
    const { code, stderr } = await run(...words);
    expect({ code, stderr }).toEqual({ code: 6, stderr: "" });
    expect(await readFile(join(home, "notes"), "utf8")).toBe(`createRuntime ${user}\npoststop ${user}\n`);

    // Rules that changed and a state folder that belongs to somebody else: slower, and right all the same.
    execFileSync("chown", ["-R", "root:root", join(home, "root")]);
    await writeFile(config, JSON.stringify(spec));
    await writeFile(
      join(etc, "hooks.json"),
      JSON.stringify({ version: 1, rules: [{ name: "b", when, hooks: { poststop: hook("changed") } }] }),
    );
    expect(await run(...words)).toMatchObject({ code: 6, stderr: "" });
    expect(await readFile(join(home, "notes"), "utf8")).toMatch(/\nchanged 65534\n$/);
  },
);
