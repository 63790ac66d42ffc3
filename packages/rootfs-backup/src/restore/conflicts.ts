import { closeSync, constants, openSync, readSync, readlinkSync } from "node:fs";
import { LayerStack, type StackEntry } from "../archive/layer-stack.ts";
import type { OverlayNamespace } from "../archive/overlay-xattrs.ts";
import { kindOf, readUpperEntry } from "../archive/upper-entry.ts";

export interface ConflictsRequest {
  /** Restored layers, the lowest first; at least one. */
  readonly layers: readonly string[];
  readonly overlay: OverlayNamespace;
  /** Folders of the image that the backup was made on, the lowest first; empty for none. */
  readonly before: readonly string[];
  /** Folders of the image that it is to be put on. */
  readonly after: readonly string[];
}

/** What a backup changed, and its image changed too. */
export interface Conflicts {
  /** At most {@link mostPaths}, for people: bytes that are not UTF-8 are replaced. */
  readonly paths: readonly string[];
  readonly count: number;
}

const mostPaths = 1000;

/** Compares two images at the paths that a backup holds or deletes; what neither image has is no conflict. */
export function findConflicts({ layers, overlay, before, after }: ConflictsRequest): Conflicts {
  const paths: string[] = [];
  let count = 0;
  using backup = walkOf(layers, overlay);
  using old = walkOf(before, "trusted");
  using current = walkOf(after, "trusted");
  const visit = (folder: string): void => {
    for (const text of backup.names()) {
      const name = Buffer.from(text, "latin1");
      const path = `${folder}/${name.toString()}`;
      if (visitMerged(name, path) || sameTree(name, old, current)) continue;
      count += 1;
      if (paths.length < mostPaths) paths.push(path);
    }
  };
  /** True for a directory that the backup and both images have, whose names have been compared one by one. */
  const visitMerged = (name: Buffer, path: string): boolean => {
    const found = [backup, old, current].map((walk) => ({ walk, entry: shown(walk.find(name)) }));
    if (!found.every(({ entry }) => isFolder(entry))) return false;
    const opaque = found.map(({ walk, entry }) => walk.enter(name, entry?.at ?? 0))[0];
    if (opaque !== true) visit(path);
    for (const { walk } of found) walk.leave();
    return opaque !== true;
  };
  visit("");
  return { paths, count };
}

/** Walks a stack of layers, or nothing at all. */
interface Walk extends Disposable {
  /** As Latin-1 text. */
  names(): readonly string[];
  /** Undefined for what the stack does not have. */
  find(name: Buffer): StackEntry | undefined;
  /** Whether the directory hides what is below the stack. */
  enter(name: Buffer, at: number): boolean;
  leave(): void;
}

const nothing: Walk = {
  names: () => [],
  find: () => undefined,
  enter: () => false,
  leave: () => {},
  [Symbol.dispose]: () => {},
};

function walkOf(folders: readonly string[], overlay: OverlayNamespace): Walk {
  if (folders.length === 0) return nothing;
  const stack = new LayerStack(folders.toReversed().map((path) => ({ path, format: { overlay } })));
  return {
    names: () => stack.names(),
    find: (name) => {
      const found = stack.find(name);
      return typeof found === "string" ? undefined : found;
    },
    enter: (name, at) => stack.enter(name, at, name).opaque,
    leave: () => stack.leave(),
    [Symbol.dispose]: () => stack[Symbol.dispose](),
  };
}

/** A deleted name shows as none. */
const shown = (found: StackEntry | undefined): StackEntry | undefined =>
  found?.whiteout === true ? undefined : found;

const isFolder = (found: StackEntry | undefined): boolean =>
  found !== undefined && kindOf(found.status) === "directory";

/** Whether a name with all below it is the same in both, times aside. */
function sameTree(name: Buffer, left: Walk, right: Walk): boolean {
  const [a, b] = [shown(left.find(name)), shown(right.find(name))];
  if (a === undefined || b === undefined) return a === b;
  if (!isFolder(a) || !isFolder(b)) return sameFile(a, b);
  left.enter(name, a.at);
  right.enter(name, b.at);
  try {
    const names = new Set([...left.names(), ...right.names()]);
    return [...names].every((each) => sameTree(Buffer.from(each, "latin1"), left, right));
  } finally {
    left.leave();
    right.leave();
  }
}

function sameFile(a: StackEntry, b: StackEntry): boolean {
  const [left, right] = [a.status, b.status];
  if (left.device === right.device && left.inode === right.inode) return true;
  const kind = kindOf(left);
  if (kind === undefined || kind !== kindOf(right)) return left.type === right.type;
  const [ours, theirs] = [a, b].map(({ status, file, format }) =>
    JSON.stringify(facts(readUpperEntry({ kind, status, at: file, path: file }, format))),
  );
  if (ours !== theirs) return false;
  if (kind === "symlink") return readlinkSync(a.file, "buffer").equals(readlinkSync(b.file, "buffer"));
  return kind !== "file" || (left.size === right.size && sameContent(a.file, b.file));
}

const facts = ({ attributes: { mode, uid, gid, xattrs }, device }: ReturnType<typeof readUpperEntry>) => ({
  mode,
  uid,
  gid,
  device,
  xattrs: xattrs.map(({ name, value }) => [name.toString("latin1"), value.toString("latin1")]),
});

const chunkSize = 256 * 1024;

function sameContent(left: Buffer, right: Buffer): boolean {
  using a = open(left);
  using b = open(right);
  const [ours, theirs] = [Buffer.allocUnsafe(chunkSize), Buffer.allocUnsafe(chunkSize)];
  for (;;) {
    const count = readSync(a.fd, ours);
    if (count !== readSync(b.fd, theirs)) return false;
    if (count === 0) return true;
    if (!ours.subarray(0, count).equals(theirs.subarray(0, count))) return false;
  }
}

function open(path: Buffer): Disposable & { readonly fd: number } {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  return { fd, [Symbol.dispose]: () => closeSync(fd) };
}
