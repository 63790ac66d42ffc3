import { access, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isAeonError } from "@aeon/core";
import { listTargets, parseTargets, sourcesFor } from "./apt-sources.ts";
import { errors } from "./errors.ts";
import { run } from "./run.ts";

/** A private apt with the lists of one suite; it neither reads nor changes what the machine has installed. */
export interface Apt extends AsyncDisposable {
  /** The newest version in the suite. Throws `PACKAGE_UNAVAILABLE` when there is none. */
  candidate(name: string): Promise<{ readonly version: string; readonly bytes: number }>;
  /** Downloads and verifies the package; answers the path of the .deb, which lives until disposal. */
  download(name: string, version: string): Promise<string>;
  /** Downloads and verifies packages (`name` or `name=version`) with all they depend on; answers the paths of the .debs. */
  downloadTree(packages: readonly string[]): Promise<readonly string[]>;
  /** Downloads and verifies a source package; answers its version and the paths of its files. */
  downloadSource(name: string): Promise<{ readonly version: string; readonly files: readonly string[] }>;
}

const debianKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** The code name of the machine's own Debian release. Throws `PACKAGE_SOURCE_MISSING` on another system. */
export async function machineSuite(): Promise<string> {
  const release = await readFile("/etc/os-release", "utf8").catch(() => "");
  const suite = /^VERSION_CODENAME="?([a-z]+)"?$/m.exec(release)?.[1];
  if (suite === undefined)
    throw errors.PACKAGE_SOURCE_MISSING("/etc/os-release names no Debian release (VERSION_CODENAME)");
  return suite;
}

/** Reads the package list of a suite from the machine's mirror into a temporary apt root. */
export async function openApt(suite: string, signal?: AbortSignal): Promise<Apt> {
  const sources = await machineSources(suite, signal);
  const root = await mkdtemp(join(tmpdir(), "aeon-apt-"));
  try {
    await mkdir(join(root, "lists", "partial"), { recursive: true });
    await mkdir(join(root, "cache", "archives", "partial"), { recursive: true });
    await mkdir(join(root, "debs"));
    await writeFile(join(root, "status"), "");
    await writeFile(join(root, "sources.list"), `${sources.join("\n")}\n`);
    const apt = new PrivateApt(root, suite, signal);
    await apt.update();
    return apt;
  } catch (error) {
    await rm(root, { recursive: true, force: true });
    throw error;
  }
}

async function machineSources(suite: string, signal?: AbortSignal): Promise<readonly string[]> {
  const own = await machineSuite();
  const { stdout } = await run("apt-get", listTargets, { ...(signal && { signal }) }).catch(
    (error: unknown) => {
      if (isAeonError(error, "PROGRAM_MISSING"))
        throw errors.PACKAGE_SOURCE_MISSING("apt-get is not installed", { cause: error });
      throw error;
    },
  );
  const keyring = await access(debianKeyring).then(
    () => debianKeyring,
    () => undefined,
  );
  const sources = sourcesFor(suite, own, parseTargets(stdout), keyring);
  if (sources.length === 0)
    throw errors.PACKAGE_SOURCE_MISSING(
      `the machine's apt configuration (/etc/apt/sources.list, sources.list.d) names no mirror of Debian ${own}`,
    );
  return sources;
}

class PrivateApt implements Apt {
  readonly #root: string;
  readonly #suite: string;
  readonly #signal: AbortSignal | undefined;
  #complaint = "";

  constructor(root: string, suite: string, signal: AbortSignal | undefined) {
    this.#root = root;
    this.#suite = suite;
    this.#signal = signal;
  }

  async update(): Promise<void> {
    // Unreachable mirrors are only warnings to apt: they matter when a package is not found afterwards.
    const { stderr } = await this.#run("apt-get", ["update"]);
    this.#complaint = stderr
      .split("\n")
      .filter((line) => line.startsWith("W:") || line.startsWith("E:"))
      .map((line) => line.slice(2).trim())
      .slice(0, 3)
      .join("; ");
  }

  async candidate(name: string): Promise<{ version: string; bytes: number }> {
    const { stdout } = await this.#run("apt-cache", ["show", "--no-all-versions", name]).catch(() => ({
      stdout: "",
    }));
    const version = /^Version: (\S+)$/m.exec(stdout)?.[1];
    if (version === undefined)
      throw errors.PACKAGE_UNAVAILABLE(
        this.#complaint || `the mirror's list of Debian ${this.#suite} has no package ${name}`,
      );
    return { version, bytes: Number(/^Size: (\d+)$/m.exec(stdout)?.[1] ?? 0) };
  }

  async download(name: string, version: string): Promise<string> {
    const folder = await mkdtemp(join(this.#root, "debs", "d-"));
    const { stdout } = await this.#run("apt-get", ["download", "--print-uris", `${name}=${version}`]);
    const file = /^'[^']+' (\S+)/m.exec(stdout)?.[1];
    await this.#run("apt-get", ["download", `${name}=${version}`], folder);
    if (file === undefined) throw errors.PACKAGE_UNAVAILABLE(`apt names no file for ${name} ${version}`);
    return join(folder, file);
  }

  async downloadTree(packages: readonly string[]): Promise<readonly string[]> {
    await this.#run("apt-get", [
      "install",
      "--yes",
      "--no-install-recommends",
      "--download-only",
      ...packages,
    ]);
    const archives = join(this.#root, "cache", "archives");
    const files = await readdir(archives);
    return files.filter((file) => file.endsWith(".deb")).map((file) => join(archives, file));
  }

  async downloadSource(name: string): Promise<{ version: string; files: readonly string[] }> {
    const list = join(this.#root, "sources.list");
    const lines = (await readFile(list, "utf8")).split("\n").filter((line) => line.startsWith("deb "));
    await writeFile(
      list,
      [...lines, ...lines.map((line) => line.replace("deb ", "deb-src ")), ""].join("\n"),
    );
    await this.update();
    const folder = await mkdtemp(join(this.#root, "debs", "s-"));
    await this.#run("apt-get", ["source", "--download-only", "--only-source", name], folder);
    const files = await readdir(folder);
    const description = files.find((file) => file.endsWith(".dsc"));
    const text = description === undefined ? "" : await readFile(join(folder, description), "utf8");
    const version = /^Version: (\S+)$/m.exec(text)?.[1];
    if (version === undefined) throw errors.PACKAGE_UNAVAILABLE(`apt gave no description of ${name}`);
    return { version, files: files.map((file) => join(folder, file)) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#root, { recursive: true, force: true });
  }

  #run(program: string, args: readonly string[], cwd = this.#root): ReturnType<typeof run> {
    return run(program, ["-q", ...this.#options(), ...args], {
      cwd,
      ...(this.#signal && { signal: this.#signal }),
      timeoutMs: 600_000,
    });
  }

  #options(): readonly string[] {
    return Object.entries({
      "Dir::State": this.#root,
      "Dir::State::lists": join(this.#root, "lists"),
      "Dir::State::status": join(this.#root, "status"),
      "Dir::Cache": join(this.#root, "cache"),
      "Dir::Etc::SourceList": join(this.#root, "sources.list"),
      "Dir::Etc::SourceParts": "/dev/null",
      "Dir::Etc::Preferences": "/dev/null",
      "Dir::Etc::PreferencesParts": "/dev/null",
      "Acquire::Languages": "none",
      // A mirror may carry a suite that is no longer refreshed; its signature is still checked.
      "Acquire::Check-Valid-Until": "false",
      "Acquire::Retries": "3",
      "Acquire::http::Timeout": "20",
      "Acquire::https::Timeout": "20",
      // The folder belongs to this user alone, so apt's own user could not write there.
      "APT::Sandbox::User": "root",
    }).flatMap(([key, value]) => ["-o", `${key}=${value}`]);
  }
}
