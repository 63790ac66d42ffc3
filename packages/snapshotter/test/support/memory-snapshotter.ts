import {
  AeonError,
  type CommitRequest,
  type ErrorCode,
  type KeyRequest,
  type Labels,
  type ListRequest,
  type Mount,
  type PrepareRequest,
  type SnapshotInfo,
  type SnapshotKey,
  type SnapshotKind,
  type Snapshotter,
  type SnapshotUsage,
  type UpdateRequest,
} from "@aeon/core";

/** A snapshotter in memory with containerd's semantics; its mounts name paths that do not exist. */
export class MemorySnapshotter implements Snapshotter {
  readonly #infos = new Map<SnapshotKey, SnapshotInfo & { readonly id: number }>();
  #lastId = 0;
  #clock = 0n;

  async prepare(request: PrepareRequest): Promise<readonly Mount[]> {
    return this.#create(request, "active");
  }

  async view(request: PrepareRequest): Promise<readonly Mount[]> {
    return this.#create(request, "view");
  }

  async mounts({ key }: KeyRequest): Promise<readonly Mount[]> {
    if (this.#get(key).kind === "committed") throw failure("failed-precondition", `${key} is committed`);
    return this.#mountsOf(key);
  }

  async commit({ name, key, labels, parent }: CommitRequest): Promise<void> {
    const active = this.#get(key);
    if (this.#infos.has(name)) throw failure("already-exists", `${name} exists`);
    if (active.kind !== "active") throw failure("failed-precondition", `${key} is not active`);
    if (parent !== undefined) {
      if (active.parent !== undefined && active.parent !== parent)
        throw failure("invalid-argument", `${key} has another parent`);
      if (this.#get(parent).kind !== "committed")
        throw failure("failed-precondition", `${parent} is not committed`);
    }
    const at = this.#now();
    const { id } = active;
    const base = parent ?? active.parent;
    this.#infos.delete(key);
    this.#infos.set(name, {
      name,
      ...(base === undefined ? {} : { parent: base }),
      kind: "committed",
      createdAt: at,
      updatedAt: at,
      labels: stored(labels),
      id,
    });
  }

  async remove({ key }: KeyRequest): Promise<void> {
    this.#get(key);
    if ([...this.#infos.values()].some(({ parent }) => parent === key))
      throw failure("failed-precondition", `cannot remove ${key}: it has children`);
    this.#infos.delete(key);
  }

  async stat({ key }: KeyRequest): Promise<SnapshotInfo> {
    return this.#info(key);
  }

  async update({ name, labels, paths }: UpdateRequest): Promise<SnapshotInfo> {
    const before = this.#get(name);
    if (!paths.every((path) => path === "labels" || /^labels\../.test(path)))
      throw failure("invalid-argument", "only labels can be updated");
    const whole = paths.length === 0 || paths.includes("labels");
    const named = paths
      .filter((path) => path !== "labels")
      .map((path) => path.slice("labels.".length))
      .map((label): [string, string] => [label, labels[label] ?? ""]);
    const next = whole ? labels : { ...before.labels, ...Object.fromEntries(named) };
    this.#infos.set(name, { ...before, labels: stored(next), updatedAt: this.#now() });
    return this.#info(name);
  }

  async list(request: ListRequest): Promise<AsyncIterable<SnapshotInfo>> {
    if (request.filters.length > 0) throw failure("unimplemented", "filters");
    const keys = [...this.#infos.keys()];
    const infos = keys.map((key) => this.#info(key));
    return (async function* () {
      yield* infos;
    })();
  }

  async usage({ key }: KeyRequest): Promise<SnapshotUsage> {
    this.#get(key);
    return { size: 4096n, inodes: 1n };
  }

  async cleanup(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}

  #create({ key, parent, labels }: PrepareRequest, kind: SnapshotKind): readonly Mount[] {
    if (parent !== undefined && this.#get(parent).kind !== "committed")
      throw failure("invalid-argument", `${parent} is not committed`);
    if (this.#infos.has(key)) throw failure("already-exists", `${key} exists`);
    const at = this.#now();
    this.#lastId += 1;
    this.#infos.set(key, {
      name: key,
      ...(parent === undefined ? {} : { parent }),
      kind,
      createdAt: at,
      updatedAt: at,
      labels: stored(labels),
      id: this.#lastId,
    });
    return this.#mountsOf(key);
  }

  #mountsOf(key: SnapshotKey): readonly Mount[] {
    const { id, kind, parent } = this.#get(key);
    const own = `/memory/${id}/fs`;
    if (parent === undefined)
      return [{ type: "bind", source: own, target: "", options: [kind === "view" ? "ro" : "rw", "rbind"] }];
    const lowers: string[] = [];
    for (let at: SnapshotKey | undefined = parent; at !== undefined; at = this.#get(at).parent)
      lowers.push(`/memory/${this.#get(at).id}/fs`);
    if (kind === "view" && lowers.length === 1)
      return [{ type: "bind", source: lowers[0] ?? "", target: "", options: ["ro", "rbind"] }];
    const writable = kind === "view" ? [] : [`workdir=/memory/${id}/work`, `upperdir=${own}`];
    return [
      {
        type: "overlay",
        source: "overlay",
        target: "",
        options: [...writable, `lowerdir=${lowers.join(":")}`, "index=off"],
      },
    ];
  }

  #get(key: SnapshotKey): SnapshotInfo & { readonly id: number } {
    const info = this.#infos.get(key);
    if (info === undefined) throw failure("not-found", `snapshot ${key} does not exist`);
    return info;
  }

  #info(key: SnapshotKey): SnapshotInfo {
    const { id: _, ...info } = this.#get(key);
    return info;
  }

  #now(): bigint {
    return (this.#clock += 1n);
  }
}

const stored = (labels: Labels): Labels =>
  Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== ""));

const failure = (code: ErrorCode, message: string): AeonError => new AeonError(code, "MEMORY", message);
