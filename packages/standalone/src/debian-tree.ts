import { mkdir, readlink, rename, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf } from "@aeon/core";
import { machineSuite, openApt } from "./apt.ts";
import { withNames, type FetchOptions, type UnpackedPackage } from "./debian-packages.ts";
import { withFileLock } from "./file-lock.ts";
import { run } from "./run.ts";

/** Packages that are wanted with all that they depend on, down to the C library. */
export interface TreeOptions extends Omit<FetchOptions, "packages"> {
  /** Gives the tree its name and version. */
  readonly name: string;
  /** Further packages to have in the tree. */
  readonly with?: readonly string[];
}

/**
 * Gives a Debian package with everything it depends on, unpacked into one folder of the cache: programs of another
 * suite run from it through its own loader. Missing trees are fetched from the machine's mirror with apt's signature
 * checks. Throws `PACKAGE_SOURCE_MISSING` or `PACKAGE_UNAVAILABLE` naming package and suite.
 */
export async function fetchPackageTree(options: TreeOptions): Promise<UnpackedPackage> {
  const suite = options.suite ?? (await machineSuite());
  const folder = join(
    options.cache,
    "debian-trees",
    process.arch,
    suite,
    [options.name, ...(options.with ?? [])].join("+"),
  );
  const existing = await current(folder, options.name);
  if (existing !== undefined) return existing;
  return withFileLock(
    join(folder, ".lock"),
    // Another process may have fetched it while this one waited.
    async () => (await current(folder, options.name)) ?? (await fetchTree(folder, suite, options)),
    options.signal,
  );
}

async function current(folder: string, name: string): Promise<UnpackedPackage | undefined> {
  try {
    const version = await readlink(join(folder, "current"));
    return { name, version: decodeURIComponent(version), root: join(folder, version) };
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function fetchTree(
  folder: string,
  suite: string,
  { name, with: others = [], onProgress, signal }: TreeOptions,
): Promise<UnpackedPackage> {
  try {
    onProgress?.(`reading the package list of Debian ${suite}`);
    await using apt = await openApt(suite, signal);
    const { version } = await apt.candidate(name);
    onProgress?.(`downloading ${name} ${version} with its dependencies`);
    const target = join(folder, encodeURIComponent(version));
    const partial = join(folder, ".partial");
    await rm(partial, { recursive: true, force: true });
    await mkdir(partial);
    for (const file of await apt.downloadTree([`${name}=${version}`, ...others]))
      await run("dpkg-deb", ["-x", file, partial], { ...(signal && { signal }) });
    await rm(target, { recursive: true, force: true });
    await rename(partial, target);
    // Written last: what is current is whole.
    await symlink(encodeURIComponent(version), join(folder, "current"));
    return { name, version, root: target };
  } catch (error) {
    signal?.throwIfAborted();
    throw withNames(error, suite, [name, ...others]);
  }
}
