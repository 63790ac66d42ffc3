import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { errors } from "../errors.ts";
import { runProgram } from "../system/run-program.ts";

export interface ArchiveRequest {
  /** Debian code name. */
  readonly suite: string;
  readonly packages: readonly string[];
  /** Existing folder that gets the .deb files. */
  readonly folder: string;
  readonly signal?: AbortSignal;
}

/**
 * Downloads Debian packages with all they depend on, from the mirror in the machine's apt configuration and with apt's
 * signature checks; the machine's own packages and lists are neither read nor changed.
 */
export async function fetchDebianArchives(request: ArchiveRequest): Promise<void> {
  const { suite, packages, folder, signal } = request;
  const root = await mkdtemp(join(tmpdir(), "aeon-dindapt-"));
  try {
    for (const name of ["lists/partial", "cache/archives/partial", "log"])
      await mkdir(join(root, name), { recursive: true });
    await writeFile(join(root, "status"), "");
    await writeFile(join(root, "sources.list"), (await sourceLines(suite, signal)).join("\n") + "\n");
    const apt = (...args: string[]): Promise<string> =>
      runProgram("apt-get", [...aptOptions(root), ...args], {
        timeoutMs: 900_000,
        ...(signal && { signal }),
      });
    await apt("update");
    await apt("install", "--yes", "--no-install-recommends", "--download-only", ...packages);
    const archives = join(root, "cache", "archives");
    for (const name of (await readdir(archives)).filter((file) => file.endsWith(".deb")))
      await copyFile(join(archives, name), join(folder, name));
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** The machine's mirrors of Debian, asked for another suite. */
async function sourceLines(suite: string, signal: AbortSignal | undefined): Promise<readonly string[]> {
  const release = await readFile("/etc/os-release", "utf8").catch(() => "");
  const own = /^VERSION_CODENAME="?([a-z]+)"?$/m.exec(release)?.[1];
  const listed = await runProgram(
    "apt-get",
    [
      "indextargets",
      "--no-release-info",
      "--format",
      "$(SITE) $(RELEASE) $(COMPONENT)",
      "Created-By: Packages",
    ],
    signal && { signal },
  );
  const aliases = new Set([own, "stable", "oldstable", "testing", "unstable", "sid"]);
  const sites = new Set(
    listed.split("\n").flatMap((line) => {
      const [site, name, component] = line.trim().split(" ");
      return site !== undefined && component === "main" && aliases.has(name) ? [site] : [];
    }),
  );
  if (sites.size === 0)
    throw errors.DIND_IMAGE_INVALID(
      "the machine's apt configuration names no mirror of Debian; give the packages as files instead",
    );
  return [...sites].map((site) => `deb [signed-by=${keyring}] ${site} ${suite} main`);
}

const aptOptions = (root: string): readonly string[] => [
  "-q",
  ...Object.entries({
    "Dir::State": root,
    "Dir::State::lists": join(root, "lists"),
    "Dir::State::status": join(root, "status"),
    "Dir::Cache": join(root, "cache"),
    "Dir::Log": join(root, "log"),
    "Dir::Etc::SourceList": join(root, "sources.list"),
    "Dir::Etc::SourceParts": "/dev/null",
    "Dir::Etc::Preferences": "/dev/null",
    "Dir::Etc::PreferencesParts": "/dev/null",
    "Acquire::Languages": "none",
    // A mirror may carry a suite that is no longer refreshed; its signature is still checked.
    "Acquire::Check-Valid-Until": "false",
    "Acquire::Retries": "3",
    "APT::Sandbox::User": "root",
  }).flatMap(([key, value]) => ["-o", `${key}=${value}`]),
];
