import { snapshotKey, type Labels, type Mount, type SnapshotInfo, type SnapshotKey } from "@aeon/core";
import type {
  CleanupRequest,
  CommitRequest,
  KeyRequest,
  ListRequest,
  PrepareRequest,
  SnapshotUsage,
  UpdateRequest,
} from "@aeon/core";

/** Characters one value from a hook may hold in all; a reply must fit a gRPC message of 16 MiB. */
const sizeLimit = 4 * 1024 * 1024;
/** Entries of one list or one set of labels from a hook. */
const countLimit = 10_000;

/** What is wrong with a value that a hook returned. */
export class ShapeError extends Error {
  override readonly name = "ShapeError";
}

/** Reads untrusted values; counts characters so that one value cannot exhaust memory further on. */
class Reader {
  #size = 0;

  object(value: unknown, what: string): Record<string, unknown> {
    if (typeof value !== "object" || value === null || Array.isArray(value))
      throw new ShapeError(`${what} is not an object`);
    return { ...value };
  }

  text(value: unknown, what: string): string {
    if (typeof value !== "string") throw new ShapeError(`${what} is not a string`);
    this.#size += value.length;
    if (this.#size > sizeLimit) throw new ShapeError(`value is larger than ${sizeLimit} characters`);
    return value;
  }

  key(value: unknown, what: string): SnapshotKey {
    const key = this.text(value, what);
    if (key === "") throw new ShapeError(`${what} is empty`);
    return snapshotKey(key);
  }

  list<T>(value: unknown, what: string, item: (value: unknown, what: string) => T): readonly T[] {
    if (!Array.isArray(value)) throw new ShapeError(`${what} is not an array`);
    if (value.length > countLimit) throw new ShapeError(`${what} has more than ${countLimit} entries`);
    return Object.freeze(Array.from(value, (entry: unknown, index) => item(entry, `${what}[${index}]`)));
  }

  labels(value: unknown): Labels {
    const entries = Object.entries(this.object(value, "labels"));
    if (entries.length > countLimit) throw new ShapeError(`labels has more than ${countLimit} entries`);
    return Object.freeze(
      Object.fromEntries(
        entries.map(([key, entry]) => [this.text(key, "label"), this.text(entry, `label ${key}`)]),
      ),
    );
  }

  bigint(value: unknown, what: string): bigint {
    if (typeof value !== "bigint" || value < 0n || value >= 1n << 63n)
      throw new ShapeError(`${what} is not an unsigned 63-bit bigint`);
    return value;
  }
}

/** Each function copies a hook's value into a fresh frozen object, or throws {@link ShapeError}. */
export function prepareRequest(value: unknown): PrepareRequest {
  const reader = new Reader();
  const { key, parent, labels } = reader.object(value, "request");
  return Object.freeze({
    key: reader.key(key, "key"),
    ...(parent === undefined ? {} : { parent: reader.key(parent, "parent") }),
    labels: reader.labels(labels),
  });
}

export function commitRequest(value: unknown): CommitRequest {
  const reader = new Reader();
  const { name, key, parent, labels } = reader.object(value, "request");
  return Object.freeze({
    name: reader.key(name, "name"),
    key: reader.key(key, "key"),
    ...(parent === undefined ? {} : { parent: reader.key(parent, "parent") }),
    labels: reader.labels(labels),
  });
}

export function keyRequest(value: unknown): KeyRequest {
  const reader = new Reader();
  return Object.freeze({ key: reader.key(reader.object(value, "request")["key"], "key") });
}

export function updateRequest(value: unknown): UpdateRequest {
  const reader = new Reader();
  const { name, labels, paths } = reader.object(value, "request");
  return Object.freeze({
    name: reader.key(name, "name"),
    labels: reader.labels(labels),
    paths: reader.list(paths, "paths", (path, what) => reader.text(path, what)),
  });
}

export function listRequest(value: unknown): ListRequest {
  const reader = new Reader();
  const { filters } = reader.object(value, "request");
  return Object.freeze({
    filters: reader.list(filters, "filters", (filter, what) => reader.text(filter, what)),
  });
}

export function emptyRequest(value: unknown): CleanupRequest {
  new Reader().object(value, "request");
  return Object.freeze({});
}

export function mountsReply(value: unknown): readonly Mount[] {
  const reader = new Reader();
  return reader.list(value, "mounts", (entry, what) => {
    const { type, source, target, options } = reader.object(entry, what);
    return Object.freeze({
      type: reader.text(type, `${what}.type`),
      source: reader.text(source, `${what}.source`),
      target: reader.text(target, `${what}.target`),
      options: reader.list(options, `${what}.options`, (option, name) => reader.text(option, name)),
    });
  });
}

export function infoReply(value: unknown): SnapshotInfo {
  const reader = new Reader();
  const { name, parent, kind, createdAt, updatedAt, labels } = reader.object(value, "info");
  if (kind !== "view" && kind !== "active" && kind !== "committed")
    throw new ShapeError("kind is none of view, active, committed");
  return Object.freeze({
    name: reader.key(name, "name"),
    ...(parent === undefined ? {} : { parent: reader.key(parent, "parent") }),
    kind,
    createdAt: reader.bigint(createdAt, "createdAt"),
    updatedAt: reader.bigint(updatedAt, "updatedAt"),
    labels: reader.labels(labels),
  });
}

export function usageReply(value: unknown): SnapshotUsage {
  const reader = new Reader();
  const { size, inodes } = reader.object(value, "usage");
  return Object.freeze({ size: reader.bigint(size, "size"), inodes: reader.bigint(inodes, "inodes") });
}

export function noReply(value: unknown): void {
  if (value !== undefined) throw new ShapeError("the operation has no reply to rewrite");
}

export function listReply(value: unknown): AsyncIterable<SnapshotInfo> {
  if (!isStream(value)) throw new ShapeError("reply is not an async iterable");
  return value;
}

/** The entries are checked as they come. */
const isStream = (value: unknown): value is AsyncIterable<SnapshotInfo> =>
  typeof value === "object" && value !== null && Symbol.asyncIterator in value;
