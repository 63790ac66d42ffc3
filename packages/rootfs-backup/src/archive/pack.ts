import { constants } from "node:fs";
import { errnoOf, linux } from "@aeon/core";
import { below, rootEntry, rootFolder, type Paths } from "./archive-path.ts";
import type { DevicePolicy } from "./device-policy.ts";
import { EntryPacker, mostAttempts, type PackOutput } from "./entry-packer.ts";
import { Exclusions } from "./exclusions.ts";
import type { IdMaps } from "./id-map.ts";
import { LayerStack, stackOf } from "./layer-stack.ts";
import type { OverlayNamespace } from "./overlay-xattrs.ts";
import { ReportBuilder, type PackReport } from "./report.ts";
import { blockSize } from "./tar-entry.ts";
import { kindOf } from "./upper-entry.ts";

export interface PackOptions {
  readonly overlay: OverlayNamespace;
  /** Of a container in a user namespace whose upper directory holds the host's ids. */
  readonly idMaps?: IdMaps | undefined;
  /** Unpacked layers that lie under the directory and are archived with it as one layer; the lowest first. */
  readonly lowers?: readonly string[] | undefined;
  /** Absolute paths in the container with `*`, `?`, `[a-z]` and `**`; see Exclusions. */
  readonly exclude?: readonly string[] | undefined;
  /** Absolute paths in the container on which its runtime mounts: what is empty there is left out. */
  readonly mounts?: readonly string[] | undefined;
  /** Default `all`. */
  readonly devices?: DevicePolicy | undefined;
}

/**
 * Archives an upper directory as an OCI layer: names in byte order, whiteouts as `.wh.` files, the folder's own
 * attributes as the entry `.`. Equal trees give equal bytes. Throws `LAYER_INCOMPLETE`, `EXCLUSION_INVALID`; a file
 * that changes or vanishes meanwhile is read again or reported, never fatal.
 */
export async function packLayer(root: string, output: PackOutput, options: PackOptions): Promise<PackReport> {
  using packer = new Packer(root, output, options);
  return await packer.run();
}

/** Names that are left to visit in the directories above and in the current one. */
interface Level {
  readonly names: readonly string[];
  next: number;
  readonly folder: Paths;
}

/** What looking at a name again may help against: it was removed or replaced by another type. */
const replaced = new Set(["EISDIR", "ENOENT", "ENOTDIR", "ELOOP", "ENXIO", "ESPIPE", "ESTALE"]);

class Packer implements Disposable {
  readonly #stack: LayerStack;
  readonly #output: PackOutput;
  readonly #exclusions: Exclusions;
  readonly #report = new ReportBuilder();
  readonly #entries: EntryPacker;

  constructor(root: string, output: PackOutput, options: PackOptions) {
    const { exclude, mounts, devices = "all" } = options;
    this.#exclusions = new Exclusions(exclude ?? []);
    this.#stack = new LayerStack(stackOf({ source: root, ...options }));
    this.#output = output;
    this.#entries = new EntryPacker({
      ...output,
      report: this.#report,
      mounts: new Set(mounts?.map((path) => path.slice(1))),
      devices,
    });
  }

  async run(): Promise<PackReport> {
    const { layer, toc } = this.#output;
    this.#entries.directory(rootEntry, this.#stack.root(rootEntry.real), () => this.#isEmpty());
    const levels: Level[] = [this.#list(rootFolder)];
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      const name = level.names[level.next];
      level.next += 1;
      if (name === undefined) {
        levels.pop();
        if (levels.length > 0) this.#stack.leave();
        continue;
      }
      const bytes = Buffer.from(name, "latin1");
      const paths = below(level.folder, bytes);
      if (await this.#visit(bytes, paths, level.folder)) levels.push(this.#list(paths));
      if (layer.isCongested) await layer.drain();
      if (toc.isCongested) await toc.drain();
    }
    layer.zeros(2 * blockSize);
    return this.#report.build();
  }

  [Symbol.dispose](): void {
    this.#stack[Symbol.dispose]();
  }

  #list(folder: Paths): Level {
    return { names: this.#stack.names(), next: 0, folder };
  }

  #isEmpty(): boolean {
    return this.#stack.names().length === 0;
  }

  /** Archives one name of the current directory; true when it is a directory, which is the current one then. */
  async #visit(name: Buffer, paths: Paths, folder: Paths): Promise<boolean> {
    const pattern = this.#exclusions.match(paths.real);
    if (pattern !== undefined) {
      this.#report.deviation("excluded", paths.real, `matches ${pattern}`);
      return false;
    }
    for (let attempt = 1; ; attempt += 1) {
      try {
        const found = this.#stack.find(name);
        if (found === "hidden") return false;
        if (found === "vanished") throw new linux.LinuxError("ENOENT", "statx", paths.real.toString());
        const kind = kindOf(found.status);
        if (found.whiteout) this.#entries.whiteout(name, paths, folder);
        else if (kind === undefined) this.#skip(paths, isSocket(found.status) ? "socket" : "unknown type");
        else if (found.foreign) this.#skip(paths, "another file system is mounted there");
        else if (kind === "directory") return this.#enter(name, paths, found.at);
        else await this.#entries.entry({ name, paths, kind, found });
        return false;
      } catch (error) {
        if (!replaced.has(errnoOf(error) ?? "")) throw error;
        if (attempt < mostAttempts && errnoOf(error) !== "ENOENT") continue;
        this.#report.deviation("torn", paths.real, "vanished or was replaced while it was read");
        return false;
      }
    }
  }

  #skip({ real }: Paths, reason: string): void {
    this.#report.deviation("skipped", real, reason);
  }

  #enter(name: Buffer, paths: Paths, at: number): boolean {
    const entry = this.#stack.enter(name, at, paths.real);
    if (this.#entries.directory(paths, entry, () => this.#isEmpty())) return true;
    this.#stack.leave();
    return false;
  }
}

const isSocket = ({ type }: linux.FileStatus): boolean => type === constants.S_IFSOCK;
