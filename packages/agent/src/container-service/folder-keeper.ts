import { chmodSync, mkdirSync, readdirSync } from "node:fs";
import type { Socket } from "node:net";
import { join } from "node:path";
import type { Client } from "@aeon/containerd";
import {
  containerId,
  errorMessage,
  isAeonError,
  namespace,
  podFolderPath,
  podToolsPath,
  type ContainerId,
  type Logger,
  type Namespace,
  type PodFolderAttachment,
  type PodFolderMount,
  type PodFolders,
  type PodFolderSubject,
} from "@aeon/core";
import type { ContainerServiceConfig } from "./config.ts";
import { folderName } from "./folder-name.ts";
import { optedIn } from "./opted-in.ts";
import { PodFolder, removeFolder, type Caller } from "./pod-folder.ts";
import { subjectOf } from "./subject-of.ts";
import type { ToolsOnDemand } from "./tools/tools-on-demand.ts";

export interface FolderKeeperOptions {
  /** Folder of all pods' folders. */
  readonly parent: string;
  readonly config: ContainerServiceConfig;
  readonly client: Client;
  /** Whose containers are looked after; undefined for all. */
  readonly namespaces: readonly Namespace[] | undefined;
  /** The programs for containers, if there are any. */
  readonly tools: Pick<ToolsOnDemand, "prepare" | "folder"> | undefined;
  readonly accept: (socket: Socket, caller: Caller) => void;
  readonly log: Logger;
}

/** Milliseconds that a folder waits for the container it was made for. */
const graceMs = 60_000;
const readOnly: readonly string[] = ["rbind", "ro", "nosuid", "nodev"];

/** Keeps one folder with a socket per pod, from before its first container until after its last. */
export class FolderKeeper implements PodFolders, AsyncDisposable {
  readonly #options: FolderKeeperOptions;
  readonly #folders = new Map<string, PodFolder>();
  readonly #opening = new Map<string, Promise<PodFolder>>();
  readonly #graces = new Map<string, NodeJS.Timeout>();
  readonly #stop = new AbortController();
  readonly #ready = Promise.withResolvers<void>();
  #following: Promise<void> | undefined;

  constructor(options: FolderKeeperOptions) {
    this.#options = options;
    // Users of the host must not get to the sockets, which any user of a pod may connect to.
    mkdirSync(options.parent, { recursive: true, mode: 0o700 });
    chmodSync(options.parent, 0o700);
  }

  /** Follows containerd's containers; folders without any are removed at the first look at them. */
  start(): void {
    this.#following ??= this.#follow().catch((error: unknown) => {
      if (!this.#stop.signal.aborted)
        this.#options.log.error({ error }, "containers are no longer followed; sockets may stay behind");
    });
  }

  /** Resolves once folders and containers were compared. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  get count(): number {
    return this.#folders.size;
  }

  wants(subject: PodFolderSubject): boolean {
    return this.#watches(subject.namespace) && optedIn(subject, this.#options.config["default-policy"]);
  }

  async attach(subject: PodFolderSubject, signal: AbortSignal): Promise<PodFolderAttachment | undefined> {
    signal.throwIfAborted();
    if (!this.wants(subject)) return undefined;
    const folder = await this.#open(subject);
    folder.containers.add(subject.containerId);
    this.#expect(subject);
    const mounts = [bind(folder.path, podFolderPath)];
    const tools = await this.#options.tools?.folder();
    if (tools !== undefined) mounts.push(bind(tools, podToolsPath));
    return { mounts, pathEntry: podToolsPath };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error("the container service is stopping"));
    for (const timer of this.#graces.values()) clearTimeout(timer);
    await this.#following;
    await Promise.allSettled(this.#opening.values());
    await Promise.all([...this.#folders.values()].map((folder) => folder.close()));
  }

  #watches(space: Namespace): boolean {
    return this.#options.namespaces?.includes(space) ?? true;
  }

  async #open(subject: PodFolderSubject): Promise<PodFolder> {
    const name = folderName(subject);
    const known = this.#folders.get(name);
    if (known !== undefined) return known;
    const { parent, config, accept } = this.#options;
    const opening =
      this.#opening.get(name) ??
      PodFolder.open({
        parent,
        owner: subject,
        annotations: { ...subject.labels, ...subject.annotations },
        callsPerSecond: config["calls-per-second"],
        accept,
      });
    this.#opening.set(name, opening);
    try {
      const folder = await opening;
      this.#folders.set(name, folder);
      // Whoever mounts the folder by other means than attach() wants them too.
      this.#options.tools?.prepare();
      return folder;
    } finally {
      this.#opening.delete(name);
    }
  }

  /** A container that never comes must not keep its folder. */
  #expect({ namespace: space, containerId: id }: PodFolderSubject): void {
    const key = `${space}/${id}`;
    clearTimeout(this.#graces.get(key));
    const look = async (): Promise<void> => {
      this.#graces.delete(key);
      try {
        await this.#options.client.withNamespace(space).container(id).info({ signal: this.#stop.signal });
      } catch {
        if (!this.#stop.signal.aborted) await this.#gone(id);
      }
    };
    this.#graces.set(key, setTimeout(() => void look(), graceMs).unref());
  }

  async #follow(): Promise<void> {
    const { client, log } = this.#options;
    const filters = ['topic=="/containers/create"', 'topic=="/containers/delete"'];
    for await (const event of client.events({ filters, signal: this.#stop.signal })) {
      try {
        if (event.kind === "gap") await this.#compare();
        else if (event.kind === "event" && event.topic === "/containers/delete")
          await this.#gone(containerId(event.payload.id));
        else if (event.kind === "event" && event.topic === "/containers/create")
          await this.#came(namespace(event.namespace), containerId(event.payload.id));
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        // A container that has gone again needs nothing.
        if (isAeonError(error, "not-found")) continue;
        log.warn({ error: errorMessage(error) }, "a container's socket could not be made or removed");
      }
    }
  }

  async #came(space: Namespace, id: ContainerId): Promise<void> {
    const { client } = this.#options;
    if (!this.#watches(space)) return;
    const info = await client.withNamespace(space).container(id).info({ signal: this.#stop.signal });
    await this.#take(subjectOf(space, info));
  }

  /** A sandbox keeps its pod's folder, but does not ask for one. */
  async #take(subject: PodFolderSubject): Promise<void> {
    const known = this.#folders.get(folderName(subject));
    if (known === undefined && !this.wants(subject)) return;
    const folder = known ?? (await this.#open(subject));
    folder.containers.add(subject.containerId);
  }

  async #gone(id: ContainerId): Promise<void> {
    for (const [name, folder] of this.#folders) {
      if (!folder.containers.delete(id) || folder.containers.size > 0) continue;
      this.#folders.delete(name);
      await folder.remove();
    }
  }

  /** Makes up for all events that were missed. */
  async #compare(): Promise<void> {
    const { client, parent } = this.#options;
    const { signal } = this.#stop;
    const spaces = this.#options.namespaces ?? (await this.#allNamespaces());
    const subjects: PodFolderSubject[] = [];
    for (const space of spaces)
      for (const info of await client.withNamespace(space).containers([], { signal }))
        subjects.push(subjectOf(space, info));
    for (const subject of subjects.filter(({ sandbox }) => !sandbox)) await this.#take(subject);
    for (const subject of subjects.filter(({ sandbox }) => sandbox)) await this.#take(subject);
    const there = new Set(subjects.map((subject) => String(subject.containerId)));
    for (const folder of this.#folders.values())
      for (const id of folder.containers)
        if (!there.has(id) && !this.#isExpected(id)) await this.#gone(containerId(id));
    for (const name of readdirSync(parent))
      if (!this.#folders.has(name) && !this.#opening.has(name)) removeFolder(join(parent, name));
    this.#ready.resolve();
  }

  #isExpected(id: string): boolean {
    return [...this.#graces.keys()].some((key) => key.endsWith(`/${id}`));
  }

  async #allNamespaces(): Promise<readonly Namespace[]> {
    const all = await this.#options.client.namespaces.list({ signal: this.#stop.signal });
    return all.map(({ name }) => namespace(name));
  }
}

const bind = (source: string, destination: string): PodFolderMount => ({
  type: "bind",
  source,
  destination,
  options: readOnly,
});
