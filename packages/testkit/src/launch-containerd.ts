import { join } from "node:path";
import {
  cacheFolder,
  fetchPackages,
  findContainerd,
  startContainerd,
  type ContainerdLine,
  type ContainerdOptions,
  type PrivateContainerd,
} from "@aeon/standalone";
import { sweepAbandoned } from "./abandoned.ts";
import { temporaryFolder } from "./temporary-folder.ts";

export interface LaunchOptions extends Pick<ContainerdOptions, "proxySnapshotters" | "cri" | "nri" | "env"> {
  /** Release line; 2.1 when absent. */
  readonly version?: ContainerdLine;
  /** Existing folder to run in, kept afterwards; a temporary one when absent. */
  readonly folder?: string;
}

/** The containerd releases that every integration test has to pass on. */
export const containerdVersions = ["2.1", "1.7"] as const satisfies readonly ContainerdLine[];

/** Cache of downloaded packages, shared by all runs on this machine. */
export const testCache = cacheFolder(process.env);

/**
 * Starts a private containerd from the machine's packages and resolves once it answers. Disposing ends it with all
 * of its containers, and throws when a mount or process stays.
 */
export async function launchContainerd(options: LaunchOptions = {}): Promise<PrivateContainerd> {
  const { version = "2.1", folder, ...rest } = options;
  const binaries = await findContainerd({ line: version, cache: testCache });
  await sweepAbandoned(binaries.runc);
  if (folder !== undefined) return startContainerd({ ...rest, binaries, folder });
  const owned = await temporaryFolder("c");
  return startContainerd({ ...rest, binaries, folder: join(owned.path, "c"), owned });
}

/** Absolute path of a file in a package of the machine's own suite, such as a tool that tests need. */
export async function debianFile(name: string, path: string): Promise<string> {
  const [unpacked] = await fetchPackages({ cache: testCache, packages: [name] });
  return join(unpacked?.root ?? "", path);
}

/** Folder of the CNI plugins from the machine's own suite, for {@link LaunchOptions.cri}. */
export const cniPlugins = (): Promise<string> => debianFile("containernetworking-plugins", "usr/lib/cni");
