import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { constants, existsSync } from "node:fs";
import { chmod, copyFile, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { errorMessage, podToolsPath } from "@aeon/core";
import { errors } from "../errors.ts";
import { launcherElf } from "./launcher-elf.ts";

export interface PodToolsOptions {
  /** Folder for versions of the programs; on the host, since containers mount from it. */
  readonly folder: string;
  /** The bundled program. */
  readonly program: string;
  /** The Node that runs it; this one when absent. */
  readonly node?: string;
}

const names = ["aeonctl", "dockerctl"] as const;
const loader = "/lib64/ld-linux-x86-64.so.2";
const inContainer = (file: string): string => `${podToolsPath}/lib/${file}`;
/** What would make Node or the loader run something of the container's instead. */
const dropped = ["NODE_OPT", "LD_PRELO", "LD_AUDIT"];
const run = promisify(execFile);

/**
 * Makes a folder with `aeonctl` and `dockerctl` for containers: Node, its libraries and their loader come along, so
 * that nothing of a container's image is needed. The same version is made once. Throws `POD_TOOLS_UNAVAILABLE`.
 */
export async function makePodTools({
  folder,
  program,
  node = process.execPath,
}: PodToolsOptions): Promise<string> {
  if (process.arch !== "x64" || !existsSync(loader))
    throw errors.POD_TOOLS_UNAVAILABLE(
      `there are no programs for containers on ${process.arch} without glibc yet`,
    );
  try {
    const code = await readFile(program);
    const launchers = names.map((name) => ({ name, elf: launcherOf(name) }));
    const hash = createHash("sha256").update(process.version).update(node).update(code);
    for (const { elf } of launchers) hash.update(elf);
    const version = hash.digest("hex").slice(0, 16);
    const made = join(folder, version);
    if (existsSync(made)) return made;
    const temporary = join(folder, `.${version}.${process.pid}`);
    await rm(temporary, { recursive: true, force: true });
    await mkdir(join(temporary, "lib"), { recursive: true, mode: 0o755 });
    await copyFile(node, join(temporary, "lib/node"), constants.COPYFILE_FICLONE);
    await copyFile(loader, join(temporary, "lib", basename(loader)));
    for (const library of await librariesOf(node))
      await copyFile(library, join(temporary, "lib", basename(library)), constants.COPYFILE_FICLONE);
    await writeFile(join(temporary, "lib/pod-cli.js"), code);
    await writeFile(join(temporary, "lib/package.json"), '{"type":"module"}\n');
    for (const { name, elf } of launchers) await writeFile(join(temporary, name), elf, { mode: 0o755 });
    // Any user of a container may run them, whatever the agent's umask is.
    for (const name of ["", "lib", ...names]) await chmod(join(temporary, name), 0o755);
    for (const name of await readdir(join(temporary, "lib")))
      await chmod(join(temporary, "lib", name), 0o755);
    await rename(temporary, made);
    return made;
  } catch (error) {
    throw errors.POD_TOOLS_UNAVAILABLE(`the programs for containers cannot be made: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}

const launcherOf = (name: string): Buffer =>
  launcherElf({
    command: [
      inContainer(basename(loader)),
      "--inhibit-cache",
      "--library-path",
      `${podToolsPath}/lib`,
      inContainer("node"),
      "--no-warnings",
      inContainer("pod-cli.js"),
      name,
    ],
    dropped,
  });

/** Asks the loader, as `ldd` does. */
async function librariesOf(node: string): Promise<readonly string[]> {
  const { stdout } = await run(loader, ["--list", node]);
  return [...stdout.matchAll(/=> (\/\S+) \(/g)].map(([, path = ""]) => path);
}
