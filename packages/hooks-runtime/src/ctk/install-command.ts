import { chmod, cp, mkdir, mkdtemp, readdir, readFile, realpath, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Originals } from "../engines/originals.ts";
import { errors } from "../errors.ts";
import { compileState } from "../runtime/compile-state.ts";
import { findRuntimes, isLauncher } from "../runtime/find-runtime.ts";
import { shellWord } from "../runtime/shell-word.ts";
import { launcherPath, writeLauncher } from "../runtime/write-launcher.ts";
import { replaceFile } from "../spec/replace-file.ts";
import { readToolkitConfig } from "../toolkit/toolkit-config.ts";
import type { CtkContext } from "./context.ts";

const helperFile = "container-hooks-helper.js";
const ctkFile = "container-hooks-ctk.js";
const programMark = "# written by container-hooks-ctk install";

export interface InstallOptions {
  /** Folder that holds the toolkit. */
  readonly toolkitRoot: string;
  /** Absolute path of the Node that runs it. */
  readonly node: string;
}

/** `install`: copies the toolkit below /usr and writes its programs; what is there stays whole until it is replaced. */
export async function install({ toolkitRoot, node }: InstallOptions, context: CtkContext): Promise<void> {
  const { paths, log } = context;
  await checkSource(toolkitRoot);
  // What would fail later fails before anything is replaced.
  await findRuntimes((await readToolkitConfig(paths)).runtimes, context.searchPath);
  await installLibrary(toolkitRoot, paths.library);
  await mkdir(paths.programs, { recursive: true });
  const ctk = [node, join(paths.library, ctkFile)].map(shellWord).join(" ");
  await program(join(paths.programs, "container-hooks"), script("exit 0"));
  await program(join(paths.programs, "container-hooks-ctk"), script(`exec ${ctk} "$@"`));
  const runtime = await refreshLauncher(node, context);
  await compileState(paths);
  log.info(`Installed in ${paths.programs}; low-level runtime is ${runtime}`);
}

/** Writes the launcher anew, such as for other low-level runtimes; answers the one it runs. */
export const refreshLauncher = (node: string, { paths, prefix, searchPath }: CtkContext): Promise<string> =>
  writeLauncher({ paths, prefix, helper: [node, join(paths.library, helperFile)], searchPath });

/** True when `install` has been run. */
export const isInstalled = async ({ paths }: CtkContext): Promise<boolean> =>
  isLauncher(launcherPath(paths)).catch(() => false);

/** `uninstall`: removes programs and state, not configuration and rules. Throws `TOOLKIT_IN_USE`. */
export async function uninstall({ paths, log }: CtkContext): Promise<void> {
  const used = await new Originals(paths.originals).list();
  if (used.length > 0)
    throw errors.TOOLKIT_IN_USE(
      `still configured: ${used.map(({ engine, file, names }) => `${names.join(", ")} of ${engine} in ${file}`).join("; ")}`,
    );
  for (const name of ["container-hooks", "container-hooks-ctk"]) {
    const path = join(paths.programs, name);
    if ((await readFile(path, "utf8").catch(() => "")).includes(programMark)) await rm(path);
  }
  if (await isLauncher(launcherPath(paths)).catch(() => false)) await rm(launcherPath(paths));
  await rm(paths.library, { recursive: true, force: true });
  await rm(paths.state, { recursive: true, force: true });
  log.info(`Removed from ${paths.programs}`);
}

const script = (command: string): string => `#!/bin/sh\n${programMark}\n${command}\n`;

async function checkSource(folder: string): Promise<void> {
  for (const name of [helperFile, ctkFile, "package.json"])
    await stat(join(folder, name)).catch((error: unknown) => {
      throw errors.TOOLKIT_INCOMPLETE(`${folder} has no ${name}`, { cause: error, details: { folder } });
    });
}

async function installLibrary(source: string, target: string): Promise<void> {
  if ((await realpath(source)) === (await realpath(target).catch(() => ""))) return;
  await mkdir(dirname(target), { recursive: true });
  const fresh = await mkdtemp(`${target}.`);
  try {
    for (const name of await readdir(source))
      if (/\.(?:js|json)$/.test(name)) await cp(join(source, name), join(fresh, name));
    await chmod(fresh, 0o755);
    const old = `${fresh}.old`;
    const hadOld = await rename(target, old).then(
      () => true,
      () => false,
    );
    await rename(fresh, target);
    if (hadOld) await rm(old, { recursive: true });
  } catch (error) {
    await rm(fresh, { recursive: true, force: true });
    throw error;
  }
}

const program = (path: string, text: string): Promise<void> =>
  replaceFile(path, text, {
    durable: true,
    like: { mode: 0o755, uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 },
  });
