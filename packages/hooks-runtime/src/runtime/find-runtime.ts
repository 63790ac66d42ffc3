import { access, constants, open, realpath, stat } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { errors } from "../errors.ts";
import { launcherMark } from "./launcher.ts";

/** Searched after PATH: daemons often have a short one. */
const systemFolders = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/**
 * Absolute paths of the low-level runtimes among the candidates, which are names or paths, the preferred first.
 * Throws `LOW_LEVEL_RUNTIME_MISSING`, or `LOW_LEVEL_RUNTIME_RECURSION` when there are only launchers of aeon.
 */
export async function findRuntimes(
  candidates: readonly string[],
  searchPath = "",
): Promise<readonly string[]> {
  const folders = [...searchPath.split(":").filter(isAbsolute), ...systemFolders];
  const paths = candidates.flatMap((name) =>
    name.includes("/") ? [name] : folders.map((folder) => join(folder, name)),
  );
  const found: string[] = [];
  const files = new Set<string>();
  let launcher: string | undefined;
  for (const path of paths.filter(isAbsolute)) {
    if (!(await isProgram(path))) continue;
    const file = await realpath(path);
    if (files.has(file)) continue;
    files.add(file);
    if (await isLauncher(path)) launcher = path;
    else found.push(path);
  }
  if (found.length > 0) return found;
  if (launcher !== undefined)
    throw errors.LOW_LEVEL_RUNTIME_RECURSION(
      `${launcher} is a launcher of container-hooks and no low-level runtime`,
      {
        details: { path: launcher },
      },
    );
  throw errors.LOW_LEVEL_RUNTIME_MISSING(
    `no low-level runtime: none of ${candidates.join(", ")} is a program`,
    {
      details: { candidates: candidates.join(",") },
    },
  );
}

async function isProgram(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

/** True for a file that {@link launcherMark} is written in the head of. */
export async function isLauncher(path: string): Promise<boolean> {
  await using handle = await open(path, "r");
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(256), 0, 256, 0);
  return buffer.subarray(0, bytesRead).includes(launcherMark);
}
