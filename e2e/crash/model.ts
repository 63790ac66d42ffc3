/** What the model knows of one snapshot. */
export interface Entry {
  readonly kind: "active" | "view" | "committed";
  readonly parent: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Directory number, known for those that were active at some time. */
  readonly id?: number;
}

/** One call that changes snapshots. */
export type Operation =
  | {
      readonly do: "prepare" | "view";
      readonly key: string;
      readonly parent: string;
      readonly labels: Entry["labels"];
    }
  | { readonly do: "commit"; readonly key: string; readonly name: string; readonly labels: Entry["labels"] }
  | { readonly do: "remove"; readonly key: string }
  | { readonly do: "update"; readonly key: string; readonly labels: Entry["labels"] };

export type Snapshots = ReadonlyMap<string, Entry>;

/** Keys and what they are after an operation; undefined is absent. */
export type Changes = ReadonlyMap<string, Entry | undefined>;

/** What the snapshotter has to answer: an error code, or success with these changes. */
export type Expected =
  | { readonly ok: true; readonly changes: Changes }
  | { readonly ok: false; readonly code: string };

const refused = (code: string): Expected => ({ ok: false, code });
const changing = (...entries: [string, Entry | undefined][]): Expected => ({
  ok: true,
  changes: new Map(entries),
});

/** Applies containerd's rules to one operation. */
export function expect(snapshots: Snapshots, operation: Operation): Expected {
  const subject = snapshots.get(operation.key);
  switch (operation.do) {
    case "prepare":
    case "view": {
      const { key, parent, labels } = operation;
      if (subject) return refused("already-exists");
      if (parent !== "" && snapshots.get(parent)?.kind !== "committed") return refused("not-found");
      return changing([key, { kind: operation.do === "view" ? "view" : "active", parent, labels }]);
    }
    case "commit": {
      const { key, name, labels } = operation;
      if (!subject) return refused("not-found");
      if (snapshots.has(name)) return refused("already-exists");
      if (subject.kind !== "active") return refused("failed-precondition");
      return changing([key, undefined], [name, { ...subject, kind: "committed", labels }]);
    }
    case "remove":
      if (!subject) return refused("not-found");
      if (childrenOf(snapshots, operation.key).length > 0) return refused("failed-precondition");
      return changing([operation.key, undefined]);
    case "update":
      return subject
        ? changing([operation.key, { ...subject, labels: operation.labels }])
        : refused("not-found");
  }
}

export const childrenOf = (snapshots: Snapshots, parent: string): readonly string[] =>
  [...snapshots].filter(([, entry]) => entry.parent === parent).map(([key]) => key);

/** Keys that an operation writes, and keys whose state it relies on. */
export function touches(snapshots: Snapshots, operation: Operation): { writes: string[]; reads: string[] } {
  const parent = snapshots.get(operation.key)?.parent ?? "";
  switch (operation.do) {
    case "prepare":
    case "view":
      return { writes: [operation.key], reads: operation.parent === "" ? [] : [operation.parent] };
    case "commit":
      return { writes: [operation.key, operation.name], reads: [] };
    case "remove":
      // The parent becomes removable: nobody may ask for that meanwhile.
      return { writes: [operation.key], reads: parent === "" ? [] : [parent] };
    case "update":
      return { writes: [operation.key], reads: [] };
  }
}
