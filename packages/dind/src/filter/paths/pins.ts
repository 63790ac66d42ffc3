import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { DaemonConfig } from "../filter-config.ts";
import { denied, Refusal } from "../refusal.ts";
import type { MainTree as MainTreeType } from "./main-tree.ts";
import type { PinRecord, PinState } from "./pin-record.ts";
import type { Pinner as PinnerType } from "./pinner.ts";

interface Place {
  readonly daemon: DaemonConfig;
  readonly tree: MainTreeType;
  readonly pinner: PinnerType;
}

export interface NewPin {
  readonly id: string;
  /** For dockerd. */
  readonly path: string;
  readonly readOnly: boolean;
  readonly inner: number;
}

/**
 * The pins of one pod: mounts in D's namespace, and their records on disk. A record is written before its mount is
 * made, so that none is forgotten.
 */
export class Pins implements Disposable {
  readonly #file: string;
  readonly #most: () => number;
  #pins = new Map<string, PinRecord>();
  readonly #pending = new Set<string>();
  #binds = new Map<string, readonly string[]>();
  #daemon: DaemonConfig | undefined;
  #place: Promise<Place> | undefined;

  constructor(stateFolder: string, most: () => number) {
    mkdirSync(stateFolder, { recursive: true, mode: 0o700 });
    this.#file = join(stateFolder, "pins.json");
    this.#most = most;
    this.#read();
  }

  get size(): number {
    return this.#pins.size;
  }

  get records(): Iterable<PinRecord> {
    return this.#pins.values();
  }

  get folder(): string | undefined {
    return this.#daemon?.pinFolder;
  }

  /** What a client called the pin with this id. */
  asked(id: string): string | undefined {
    return this.#pins.get(id)?.asked;
  }

  bindsOf(container: string): readonly string[] | undefined {
    return this.#binds.get(container);
  }

  /** Another D: the pins are made there, those in the old one went with it. Answers the paths that are lost. */
  async use(daemon: DaemonConfig): Promise<readonly string[]> {
    this.#close();
    this.#daemon = daemon;
    if (this.#pins.size === 0) return [];
    const { tree, pinner } = await this.#open();
    const lost: string[] = [];
    for (const record of this.#pins.values()) {
      try {
        pinner.detach(record.id);
        using file = tree.find(record.path, record.asked, { create: false });
        if (file.path !== record.path || file.status.ino !== record.inode)
          throw new Refusal(409, "path-changed", "", `${record.path} is another file now`);
        pinner.attach(record.id, file);
      } catch {
        // Without its pin the container does not start, which is better than starting on another folder.
        lost.push(record.asked);
      }
    }
    return lost;
  }

  /** Takes over what the process before had made in the same D. */
  resume(daemon: DaemonConfig): void {
    this.#daemon = daemon;
  }

  /** Finds a path of the main container and pins it for a request. */
  async add(path: string, at: string, options: { readonly create: boolean }): Promise<NewPin> {
    const most = this.#most();
    if (this.#pins.size >= most)
      throw denied(
        at,
        `this pod has ${most} binds already; remove containers and volumes first`,
        "pin-limit",
      );
    const { tree, pinner } = await this.#open();
    using file = tree.find(path, at, options);
    const id = process.getBuiltinModule("node:crypto").randomBytes(16).toString("hex");
    const { ino: inode, dev: device } = file.status;
    this.#pins.set(id, { id, asked: path, path: file.path, device, inode });
    this.#pending.add(id);
    this.#write();
    try {
      const { inner } = pinner.attach(id, file);
      return { id, path: pinner.pathOf(id), readOnly: file.mount.readOnly, inner };
    } catch (error) {
      this.#pins.delete(id);
      this.#pending.delete(id);
      this.#write();
      throw error instanceof Refusal
        ? error
        : new Refusal(
            500,
            "pin-failed",
            at,
            `${at}: ${path} could not be given to dockerd (${error instanceof Error ? error.message : "failed"})`,
          );
    }
  }

  /** A request is over: from now on dockerd's own lists tell whether its pins are used. */
  settle(
    ids: readonly string[],
    made?: { readonly container: string; readonly binds: readonly string[] },
  ): void {
    for (const id of ids) this.#pending.delete(id);
    if (made === undefined || made.binds.length === 0) return;
    this.#binds.set(made.container, made.binds);
    this.#write();
  }

  /** Pins that no request in progress is about to use. */
  settled(): readonly string[] {
    return [...this.#pins.keys()].filter((id) => !this.#pending.has(id));
  }

  async release(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    const place = this.#daemon === undefined ? undefined : await this.#open().catch(() => undefined);
    for (const id of ids) {
      place?.pinner.detach(id);
      this.#pins.delete(id);
      this.#pending.delete(id);
    }
    this.#write();
  }

  /** Releases those of `candidates` that `used`, dockerd's lists as text, does not name. */
  async sweep(candidates: readonly string[], used: string): Promise<void> {
    for (const container of this.#binds.keys()) if (!used.includes(container)) this.#binds.delete(container);
    await this.release(candidates.filter((id) => !used.includes(id)));
  }

  async releaseAll(): Promise<void> {
    this.#binds.clear();
    await this.release([...this.#pins.keys()]);
  }

  /** Loads the part that calls Linux: a pod that binds nothing does without its memory. */
  #open(): Promise<Place> {
    const daemon = this.#daemon;
    if (daemon === undefined)
      return Promise.reject(
        new Refusal(503, "dockerd-down", "", "dockerd of this pod is not there yet; try again"),
      );
    return (this.#place ??= Promise.all([import("./main-tree.ts"), import("./pinner.ts")])
      .then(([{ MainTree }, { Pinner }]) => ({
        daemon,
        tree: new MainTree(daemon),
        pinner: new Pinner(daemon),
      }))
      .catch((error: unknown) => {
        this.#place = undefined;
        throw error;
      }));
  }

  #close(): void {
    if (this.#place !== undefined) void closePlace(this.#place);
    this.#place = undefined;
  }

  #read(): void {
    let text: string;
    try {
      text = readFileSync(this.#file, "utf8");
    } catch {
      return;
    }
    const state: unknown = JSON.parse(text);
    if (!isState(state)) throw new Error(`${this.#file} is no list of pins`);
    this.#pins = new Map(state.pins.map((pin) => [pin.id, pin]));
    this.#binds = new Map(state.binds.map(({ container, binds }) => [container, binds]));
  }

  #write(): void {
    const state: PinState = {
      version: 1,
      pins: [...this.#pins.values()],
      binds: Array.from(this.#binds, ([container, binds]) => ({ container, binds })),
    };
    const fd = openSync(`${this.#file}.new`, "w", 0o600);
    try {
      writeSync(fd, JSON.stringify(state));
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(`${this.#file}.new`, this.#file);
  }

  [Symbol.dispose](): void {
    this.#close();
  }
}

async function closePlace(opening: Promise<Place>): Promise<void> {
  const place = await opening.catch(() => undefined);
  place?.tree[Symbol.dispose]();
  place?.pinner[Symbol.dispose]();
}

/** Written by this class alone. */
const isState = (value: unknown): value is PinState =>
  typeof value === "object" && value !== null && "version" in value && value.version === 1 && "pins" in value;
