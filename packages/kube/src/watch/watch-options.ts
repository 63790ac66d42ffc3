import type { KubeObject, ParseObject } from "../objects.ts";

/** What to follow, and who is told. */
export interface WatchOptions<T extends KubeObject> {
  /** Of the collection, such as `/api/v1/pods`. */
  readonly path: string;
  readonly fieldSelector?: string;
  readonly labelSelector?: string;
  /** Runs on each object as it is read: what it leaves out is never kept. */
  readonly parse: ParseObject<T>;
  /** An object is new or different. Must not throw. */
  readonly onChange?: (object: T, before: T | undefined) => void;
  /** An object is gone. Must not throw. */
  readonly onRemove?: (object: T) => void;
  /** All there was at some moment is known; again after each new list. */
  readonly onSynced?: () => void;
}

/** How a watch has fared. */
export interface WatchCounts {
  lists: number;
  connections: number;
  bookmarks: number;
  /** Times that the server no longer knew where to go on from (410). */
  expired: number;
  /** Objects and lines that could not be understood. */
  unreadable: number;
  failures: number;
}

/** A running watch. */
export interface Watch<T extends KubeObject> extends AsyncDisposable {
  /** What is there, by uid, as far as is known. */
  readonly items: ReadonlyMap<string, T>;
  /** Whether everything was listed once; true from then on, also while the server is away. */
  readonly isSynced: boolean;
  /** Why it does not follow right now; undefined while it does. */
  readonly failure: string | undefined;
  readonly counts: Readonly<WatchCounts>;
}
