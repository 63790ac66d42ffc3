import { closeSync, constants, fstatSync, mkdirSync, openSync, readlinkSync, type Stats } from "node:fs";
import { openBeneathSync, openFlags, resolveFlags, withFileIdsSync } from "@aeon/core/linux";
import type { DaemonConfig } from "../filter-config.ts";
import { denied, malformed, Refusal } from "../refusal.ts";
import { holdsFiles, mountIdOf, mountTable, type MountLine } from "./mount-table.ts";

/** A file of the main container, held open: whatever happens to its name, this is what was meant. */
export interface FoundFile extends Disposable {
  readonly fd: number;
  /** Where it really is in M's tree, without links. */
  readonly path: string;
  readonly status: Stats;
  readonly mount: MountLine;
}

const attempts = 64;

/** Looks paths up as the main container would, in D's clone of its tree, and never outside of it. */
export class MainTree implements Disposable {
  readonly #root: number;
  readonly #daemon: DaemonConfig;

  constructor(daemon: DaemonConfig) {
    this.#daemon = daemon;
    const outer = openSync(`/proc/${daemon.pid}/root`, openFlags.path | constants.O_DIRECTORY);
    try {
      this.#root = openBeneathSync({
        directory: outer,
        path: daemon.mainRoot.replace(/^\/+/, ""),
        flags: openFlags.path | constants.O_DIRECTORY,
        resolve: resolveFlags.beneath | resolveFlags.noSymlinks,
      });
    } finally {
      closeSync(outer);
    }
  }

  /** Opens a file or folder. `create`: makes missing folders on the way, as `docker run -v` does. */
  find(path: string, at: string, options: { readonly create: boolean }): FoundFile {
    const names = split(path, at);
    const fd = this.#open(names, at, options.create);
    try {
      const place = `/${readlinkSync(`/proc/self/fd/${fd}`).slice(this.#daemon.mainRoot.length).replace(/^\/+/, "")}`;
      const status = fstatSync(fd);
      const mount = this.#mountOf(fd, at, path);
      check(path, place, status, mount, at);
      return { fd, path: place, status, mount, [Symbol.dispose]: () => closeSync(fd) };
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  #open(names: readonly string[], at: string, create: boolean): number {
    try {
      return this.#lookUp(names);
    } catch (error) {
      if (!create || errno(error) !== "ENOENT") throw explain(error, `/${names.join("/")}`, at);
    }
    for (let length = 1; length <= names.length; length += 1) this.#ensure(names.slice(0, length), at);
    try {
      return this.#lookUp(names);
    } catch (error) {
      throw explain(error, `/${names.join("/")}`, at);
    }
  }

  #ensure(names: readonly string[], at: string): void {
    try {
      closeSync(this.#lookUp(names));
      return;
    } catch (error) {
      if (errno(error) !== "ENOENT") throw explain(error, `/${names.join("/")}`, at);
    }
    const parent = this.#lookUp(names.slice(0, -1));
    try {
      makeFolder(parent, names.at(-1) ?? "");
    } catch (error) {
      // EEXIST: a link to nowhere, or somebody was faster; the next look-up tells.
      if (errno(error) !== "EEXIST") throw explain(error, `/${names.join("/")}`, at);
    } finally {
      closeSync(parent);
    }
  }

  #lookUp(names: readonly string[]): number {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return openBeneathSync({
          directory: this.#root,
          path: names.length === 0 ? "." : names.join("/"),
          flags: openFlags.path,
          resolve: resolveFlags.inRoot | resolveFlags.noMagicLinks,
        });
      } catch (error) {
        // A rename anywhere on the machine raced with "..".
        if (errno(error) !== "EAGAIN" || attempt === attempts) throw error;
      }
    }
  }

  #mountOf(fd: number, at: string, path: string): MountLine {
    const id = mountIdOf(fd);
    const mount = mountTable(this.#daemon.pid).find((line) => line.id === id);
    if (mount === undefined) throw denied(at, `${path} is not in this container's tree any more`, "path");
    return mount;
  }

  [Symbol.dispose](): void {
    closeSync(this.#root);
  }
}

function makeFolder(parent: number, name: string): void {
  const make = (): unknown => mkdirSync(`/proc/self/fd/${parent}/${name}`, { mode: 0o755 });
  try {
    make();
  } catch (error) {
    // In a file system of a user namespace the host's root is nobody.
    if (errno(error) !== "EOVERFLOW") throw error;
    withFileIdsSync(fstatSync(parent), make);
  }
}

function split(path: string, at: string): readonly string[] {
  if (!path.startsWith("/") || path.includes("\0") || path.length > 4096)
    throw malformed(at, "has to be an absolute path");
  // `..` is left to the kernel: after a link it means another folder than in the text.
  return path.split("/").filter((name) => name !== "" && name !== ".");
}

function check(asked: string, place: string, status: Stats, mount: MountLine, at: string): void {
  if (!holdsFiles(mount.type))
    throw denied(at, `${asked} is on ${mount.type}, which is not given to containers`, "path-type");
  if (status.isCharacterDevice() || status.isBlockDevice())
    throw denied(at, `${asked} is a device; devices are not given to containers`, "path-device");
  if (place === "/dev" || (place.startsWith("/dev/") && !/^\/dev\/(shm|mqueue)(\/|$)/.test(place)))
    throw denied(at, `${asked} is this container's /dev, which is not given to containers`, "path-device");
}

function explain(error: unknown, path: string, at: string): Refusal {
  if (error instanceof Refusal) return error;
  const code = errno(error);
  if (code === "ENOENT" || code === "ENOTDIR")
    return malformed(at, `bind source path does not exist: ${path}`, "path-missing");
  if (code === "ELOOP" || code === "EXDEV")
    return denied(at, `${path} leads through a link that is not followed`, "path-link");
  return malformed(at, `${path} cannot be opened (${code})`, "path-failed");
}

const errno = (error: unknown): string =>
  error instanceof Error && "code" in error ? String(error.code) : "unknown error";
