/** Owner, permissions and time of a layer entry; root, usual permissions and the epoch when absent. */
interface EntryFacts {
  /** Relative to the image's root, without `..`; a directory without a trailing slash. */
  readonly path: string;
  /** Permission bits, set-id and sticky included. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Seconds since the epoch. */
  readonly mtime?: number;
  /** Extended attributes by full name. */
  readonly xattrs?: Readonly<Record<string, Uint8Array | string>>;
}

/** One file of a layer that is built in memory. */
export type LayerEntry = EntryFacts &
  (
    | { readonly type: "file"; readonly content: Uint8Array | string }
    | { readonly type: "directory" | "fifo" }
    /** `link` is a hard link to an entry earlier in the layer. */
    | { readonly type: "symlink" | "link"; readonly target: string }
    | { readonly type: "character" | "block"; readonly major: number; readonly minor: number }
    /** Deletes `path` of the layers below. */
    | { readonly type: "whiteout" }
    /** Hides what the layers below have in directory `path`. */
    | { readonly type: "opaque" }
  );
