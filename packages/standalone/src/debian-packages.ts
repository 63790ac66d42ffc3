import { access, mkdir, readdir, readlink, rename, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { errorMessage } from "@aeon/core";
import { machineSuite, openApt, type Apt } from "./apt.ts";
import { errors } from "./errors.ts";
import { withFileLock } from "./file-lock.ts";
import { run } from "./run.ts";

/** Files of a Debian package, unpacked outside the system. */
export interface UnpackedPackage {
  readonly name: string;
  readonly version: string;
  /** Holds the package's files as they would lie below `/`. */
  readonly root: string;
}

export interface FetchOptions {
  /** Folder of the cache; shared by processes and runs. */
  readonly cache: string;
  /** Debian code name; the machine's own suite when absent. */
  readonly suite?: string;
  readonly packages: readonly string[];
  readonly signal?: AbortSignal;
  /** Told in a short sentence what is being waited for. */
  readonly onProgress?: (message: string) => void;
}

/**
 * Gives named Debian packages unpacked in the cache, fetching those that are missing from the machine's mirror
 * with apt's signature checks. Throws `PACKAGE_SOURCE_MISSING` or `PACKAGE_UNAVAILABLE` naming package and suite.
 */
export async function fetchPackages(options: FetchOptions): Promise<readonly UnpackedPackage[]> {
  const suite = options.suite ?? (await machineSuite());
  const folder = join(options.cache, "debian", process.arch, suite);
  const missing = await missingIn(folder, options.packages);
  if (missing.length > 0) {
    await withFileLock(
      join(folder, ".lock"),
      async () => {
        // Another process may have fetched them while this one waited.
        const still = await missingIn(folder, missing);
        if (still.length > 0) await fetchInto(folder, suite, still, options);
      },
      options.signal,
    );
  }
  return Promise.all(options.packages.map((name) => installed(folder, name)));
}

async function missingIn(folder: string, names: readonly string[]): Promise<readonly string[]> {
  const present = await Promise.all(
    names.map((name) =>
      access(join(folder, name, "current", "files")).then(
        () => true,
        () => false,
      ),
    ),
  );
  return names.filter((_, index) => present[index] !== true);
}

async function installed(folder: string, name: string): Promise<UnpackedPackage> {
  const version = await readlink(join(folder, name, "current"));
  return {
    name,
    version: decodeURIComponent(version),
    root: join(folder, name, version, "files"),
  };
}

async function fetchInto(
  folder: string,
  suite: string,
  names: readonly string[],
  { onProgress, signal }: FetchOptions,
): Promise<void> {
  await sweep(folder);
  onProgress?.(`reading the package list of Debian ${suite}`);
  await using apt = await openApt(suite, signal).catch((error: unknown) => {
    throw withNames(error, suite, names);
  });
  for (const name of names) {
    await fetchOne(apt, folder, name, onProgress).catch((error: unknown) => {
      signal?.throwIfAborted();
      throw withNames(error, suite, [name]);
    });
  }
}

async function fetchOne(
  apt: Apt,
  folder: string,
  name: string,
  onProgress: FetchOptions["onProgress"],
): Promise<void> {
  const { version, bytes } = await apt.candidate(name);
  onProgress?.(`downloading ${name} ${version} (${(bytes / 1e6).toFixed(1)} MB)`);
  const target = join(folder, name, encodeURIComponent(version));
  const partial = `${target}.partial`;
  await mkdir(partial, { recursive: true });
  await run("dpkg-deb", ["-x", await apt.download(name, version), join(partial, "files")]);
  await rm(target, { recursive: true, force: true });
  await rename(partial, target);
  const link = join(folder, name, "current.new");
  await rm(link, { force: true });
  await symlink(encodeURIComponent(version), link);
  await rename(link, join(folder, name, "current"));
}

/** Removes what an interrupted fetch left; called under the lock. */
async function sweep(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (name.startsWith(".")) continue;
    for (const entry of await readdir(join(folder, name)))
      if (entry.endsWith(".partial")) await rm(join(folder, name, entry), { recursive: true });
  }
}

export function withNames(error: unknown, suite: string, names: readonly string[]): Error {
  if (error instanceof Error && error.name === "AbortError") return error;
  const what = names.map((name) => `package ${name}`).join(", ");
  const message = `${what} of Debian ${suite} cannot be fetched: ${errorMessage(error)}`;
  const details = { suite, packages: names.join(" ") };
  return error instanceof Error && "reason" in error && error.reason === "PACKAGE_SOURCE_MISSING"
    ? errors.PACKAGE_SOURCE_MISSING(message, { cause: error, details })
    : errors.PACKAGE_UNAVAILABLE(message, { cause: error, details });
}
