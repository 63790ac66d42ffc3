import { chmod, lstat, mkdir, readdir, readFile, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { runProgram } from "../system/run-program.ts";
import { files, initPath, initScript, links, pruned, sbomPath } from "./image-recipe.ts";
import { statusFile, type DebianPackage } from "./package-status.ts";

export interface TreeRequest {
  /** Existing empty folder. */
  readonly root: string;
  readonly packages: readonly DebianPackage[];
  readonly sbom: string;
  readonly signal?: AbortSignal;
}

/**
 * Unpacks packages as a root file system. Package scripts do not run, which makes the result depend on the packages
 * alone; the few things they would do here are done instead.
 */
export async function buildRootTree({ root, packages, sbom, signal }: TreeRequest): Promise<void> {
  // It brings the links /bin, /lib and /sbin, through which other packages' files go.
  const base = packages.filter(({ name }) => name === "base-files");
  for (const { file } of [...base, ...packages.filter((entry) => !base.includes(entry))])
    await runProgram("dpkg-deb", ["--extract", file, root], signal && { signal });
  await mergeUsr(root);
  for (const path of pruned) await rm(join(root, path), { recursive: true, force: true });
  await pruneDocs(join(root, "usr/share/doc"));
  for (const [path, target] of Object.entries(links)) {
    await rm(join(root, path), { force: true });
    await mkdir(dirname(join(root, path)), { recursive: true });
    await symlink(target, join(root, path));
  }
  const written = {
    ...files,
    [initPath]: initScript,
    [sbomPath]: sbom,
    "var/lib/dpkg/status": statusFile(packages),
    "etc/ssl/certs/ca-certificates.crt": await certificateBundle(join(root, "usr/share/ca-certificates")),
  };
  for (const [path, content] of Object.entries(written)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
  await chmod(join(root, initPath), 0o755);
  for (const path of ["mainroot", "var/lib/docker", "run/aeon", "proc", "sys", "dev", "tmp"])
    await mkdir(join(root, path), { recursive: true });
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
