import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { fetchPackages } from "./debian-packages.ts";
import { errors } from "./errors.ts";
import { run } from "./run.ts";

/**
 * Which containerd: a release line by the Debian suite that carries it, or the one on PATH. Debian forky moves on,
 * so `2.1` may in time be a later 2.x; {@link ContainerdBinaries.version} tells.
 */
export type ContainerdLine = "2.1" | "1.7" | "1.6" | "path";

const suites = { "2.1": "forky", "1.7": "trixie", "1.6": "bookworm" } as const;

export interface ContainerdBinaries {
  /** As `containerd --version` tells, such as 2.1.9 or 1.7.24~ds1. */
  readonly version: string;
  readonly containerd: string;
  readonly ctr: string;
  readonly runc: string;
  /** Folders to put first in PATH, so that containerd finds its own shim. */
  readonly path: readonly string[];
}

export interface FindOptions {
  readonly line: ContainerdLine;
  readonly cache: string;
  /** PATH to search for the line `path` and for runc; only packages are used when absent. */
  readonly searchPath?: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (message: string) => void;
}

/**
 * Finds containerd, its shim, ctr and runc on PATH or fetches them from the machine's mirror. Throws
 * `PROGRAM_MISSING`, `PACKAGE_SOURCE_MISSING` or `PACKAGE_UNAVAILABLE` naming what is missing.
 */
export async function findContainerd(options: FindOptions): Promise<ContainerdBinaries> {
  const [containerd, runc] = await Promise.all([findDaemon(options), findRunc(options)]);
  const folder = dirname(containerd);
  const ctr = await firstExecutable([folder, ...folders(options.searchPath)], "ctr");
  if (ctr === undefined) throw errors.PROGRAM_MISSING(`ctr is neither beside ${containerd} nor on PATH`);
  return {
    version: await versionOf(containerd),
    containerd,
    ctr,
    runc,
    path: [...new Set([folder, dirname(runc)])],
  };
}

/** True when `program` can be run from one of the folders of a PATH value. */
export async function onPath(program: string, searchPath: string | undefined): Promise<boolean> {
  return (await firstExecutable(folders(searchPath), program)) !== undefined;
}

async function findDaemon(options: FindOptions): Promise<string> {
  if (options.line === "path") {
    const found = await firstExecutable(folders(options.searchPath), "containerd");
    if (found === undefined) throw errors.PROGRAM_MISSING("containerd is not on PATH");
    return found;
  }
  return fromPackage("containerd", suites[options.line], options);
}

async function findRunc(options: FindOptions): Promise<string> {
  return (
    (await firstExecutable(folders(options.searchPath), "runc")) ?? fromPackage("runc", undefined, options)
  );
}

async function fromPackage(
  name: string,
  suite: string | undefined,
  { cache, signal, onProgress }: FindOptions,
): Promise<string> {
  const [unpacked] = await fetchPackages({
    cache,
    packages: [name],
    ...(suite !== undefined && { suite }),
    ...(signal && { signal }),
    ...(onProgress && { onProgress }),
  });
  const root = unpacked?.root ?? "";
  const program = await firstExecutable(
    ["usr/bin", "usr/sbin", "bin", "sbin"].map((folder) => join(root, folder)),
    name,
  );
  if (program === undefined) throw errors.PROGRAM_MISSING(`Debian package ${name} holds no program ${name}`);
  return program;
}

async function versionOf(containerd: string): Promise<string> {
  const { stdout } = await run(containerd, ["--version"]);
  const version = stdout.split(" ")[2]?.replace(/^v|\+.*$/g, "");
  if (version === undefined || !/^\d+\.\d+/.test(version))
    throw errors.PROGRAM_FAILED(`${containerd} --version answers ${JSON.stringify(stdout)}`);
  return version;
}

const folders = (searchPath: string | undefined): readonly string[] =>
  searchPath?.split(delimiter).filter((folder) => folder !== "") ?? [];

async function firstExecutable(candidates: readonly string[], name: string): Promise<string | undefined> {
  for (const folder of candidates) {
    const path = join(folder, name);
    const usable = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (usable) return path;
  }
  return undefined;
}
