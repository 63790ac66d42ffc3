import { copyFile, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { debianFile, temporaryFolder } from "@aeon/testkit";
import { call, runc, testToolkit } from "./toolkit.ts";

const script = (to: string) => `#!/bin/sh\necho "$1 $(cat)" >>'${to}'\n`;

/**
 * A bundle with busybox for one container of runc below the launcher, and a program that notes each hook's stage and the
 * state it was given.
 */
export async function setUpContainer() {
  const folder = await temporaryFolder("runc");
  const bundle = join(folder.path, "bundle");
  const rootfs = join(bundle, "rootfs");
  const toolkit = await testToolkit([await runc()]);
  for (const name of ["bin", "proc", "dev", "sys", "tmp"])
    await mkdir(join(rootfs, name), { recursive: true });
  await copyFile(await debianFile("busybox-static", "bin/busybox"), join(rootfs, "bin/busybox"));
  for (const name of ["sh", "cat", "ls", "sleep", "true"])
    await symlink("busybox", join(rootfs, "bin", name));
  const notes = join(folder.path, "notes");
  const note = join(folder.path, "note");
  await writeFile(note, script(notes), { mode: 0o755 });
  await writeFile(join(rootfs, "note"), script("/notes"), { mode: 0o755 });
  await call(toolkit.launcher, ["spec", "--bundle", bundle]);
  const spec = JSON.parse(await readFile(join(bundle, "config.json"), "utf8")) as Record<
    string,
    Record<string, unknown>
  >;
  const id = `aeon-hooks-${process.pid}-${Math.random().toString(36).slice(2)}`;
  const root = join(folder.path, "state");
  return {
    toolkit,
    bundle,
    rootfs,
    notes,
    note,
    id,
    root,
    /** Lets the container run something, with a specification that no hooks are in. */
    async process(args: readonly string[]) {
      Object.assign(spec["process"] ?? {}, { args, terminal: false });
      Object.assign(spec["root"] ?? {}, { readonly: false });
      // A cgroup of its own can lack controllers here; the test is about hooks.
      await writeFile(join(bundle, "config.json"), JSON.stringify(spec));
    },
    run: (...args: string[]) => call(toolkit.launcher, ["--root", root, ...args]),
    async [Symbol.asyncDispose]() {
      await call(await runc(), ["--root", root, "delete", "--force", id]);
      await toolkit[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}
