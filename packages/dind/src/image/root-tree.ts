import {
  chmod,
  cp,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { runProgram } from "../system/run-program.ts";
import { statusFile, type DebianPackage } from "./package-status.ts";

/** What is done to the files of packages. Paths are relative to the root. */
export interface TreeRecipe {
  /** Files and folders that are left out. */
  readonly pruned: readonly string[];
  /** Symbolic links with their targets. */
  readonly links: Readonly<Record<string, string>>;
  /** Texts of files. */
  readonly files: Readonly<Record<string, string>>;
  /** Texts of files that can be run. */
  readonly programs: Readonly<Record<string, string>>;
  /** Empty folders. */
  readonly folders: readonly string[];
  /** Files and folders to copy, by where they go. */
  readonly copies?: Readonly<Record<string, string>>;
  /** Where the bill of materials goes. */
  readonly sbomPath: string;
}

export interface TreeRequest {
  /** Existing empty folder. */
  readonly root: string;
  readonly recipe: TreeRecipe;
  readonly packages: readonly DebianPackage[];
  readonly sbom: string;
  readonly signal?: AbortSignal;
}

/**
 * Unpacks packages as a root file system. Package scripts do not run, which makes the result depend on the packages
 * alone; the few things they would do here are done instead.
 */
export async function buildRootTree({ root, recipe, packages, sbom, signal }: TreeRequest): Promise<void> {
  // It brings the links /bin, /lib and /sbin, through which other packages' files go.
  const base = packages.filter(({ name }) => name === "base-files");
  for (const { file } of [...base, ...packages.filter((entry) => !base.includes(entry))])
    await runProgram("dpkg-deb", ["--extract", file, root], signal && { signal });
  await mergeUsr(root);
  for (const [path, source] of Object.entries(recipe.copies ?? {}))
    await cp(source, join(root, path), { recursive: true });
  for (const path of recipe.pruned) await rm(join(root, path), { recursive: true, force: true });
  await pruneDocs(join(root, "usr/share/doc"));
  for (const [path, target] of Object.entries(recipe.links)) {
    await rm(join(root, path), { recursive: true, force: true });
    await mkdir(dirname(join(root, path)), { recursive: true });
    await symlink(target, join(root, path));
  }
  const written = {
    ...recipe.files,
    ...recipe.programs,
    [recipe.sbomPath]: sbom,
    "var/lib/dpkg/status": statusFile(packages),
    "etc/ssl/certs/ca-certificates.crt": await certificateBundle(join(root, "usr/share/ca-certificates")),
  };
  for (const [path, content] of Object.entries(written)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
  for (const path of Object.keys(recipe.programs)) await chmod(join(root, path), 0o755);
  for (const path of recipe.folders) await mkdir(join(root, path), { recursive: true });
}

/** Old packages carry files below /bin, /lib or /sbin, which are links into /usr. */
async function mergeUsr(root: string): Promise<void> {
  for (const name of ["bin", "sbin", "lib", "lib64"]) {
    const path = join(root, name);
    const found = await lstat(path).catch(() => undefined);
    if (found?.isSymbolicLink() && (await readlink(path)) === `usr/${name}`) continue;
    if (found?.isDirectory()) await runProgram("cp", ["-a", `${path}/.`, join(root, "usr", name)]);
    await rm(path, { recursive: true, force: true });
    await mkdir(join(root, "usr", name), { recursive: true });
    await symlink(`usr/${name}`, path);
  }
}

async function pruneDocs(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => []))
    for (const file of await readdir(join(folder, name)).catch(() => []))
      if (file !== "copyright") await rm(join(folder, name, file), { recursive: true, force: true });
}

async function certificateBundle(folder: string): Promise<string> {
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  const certificates = await Promise.all(
    names
      .filter((name) => name.endsWith(".crt"))
      .toSorted()
      .map((name) => readFile(join(folder, name), "utf8")),
  );
  return certificates.map((text) => `${text.trim()}\n`).join("");
}
