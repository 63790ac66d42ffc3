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
      readonly do: "prepare";
      readonly key: string;
      readonly parent: string;
      readonly labels: Entry["labels"];
    }
  | {
      readonly do: "view";
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
export function expectedOf(snapshots: Snapshots, operation: Operation): Expected {
  const { key } = operation;
  const subject = snapshots.get(key);
  if (operation.do === "prepare" || operation.do === "view") {
    const { parent, labels } = operation;
    if (subject) return refused("already-exists");
    if (parent !== "" && snapshots.get(parent)?.kind !== "committed") return refused("not-found");
    return changing([key, { kind: operation.do === "view" ? "view" : "active", parent, labels }]);
  }
  if (!subject) return refused("not-found");
  if (operation.do === "update") return changing([key, { ...subject, labels: operation.labels }]);
  if (operation.do === "remove")
    return childrenOf(snapshots, key).length > 0
      ? refused("failed-precondition")
      : changing([key, undefined]);
  if (snapshots.has(operation.name)) return refused("already-exists");
  if (subject.kind !== "active") return refused("failed-precondition");
  return changing(
    [key, undefined],
    [operation.name, { ...subject, kind: "committed", labels: operation.labels }],
  );
}

export const childrenOf = (snapshots: Snapshots, parent: string): readonly string[] =>
  [...snapshots].filter(([, entry]) => entry.parent === parent).map(([key]) => key);

/** Keys that an operation writes, and keys whose state it relies on. */
export function touches(snapshots: Snapshots, operation: Operation): { writes: string[]; reads: string[] } {
  const { key } = operation;
  if (operation.do === "commit") return { writes: [key, operation.name], reads: [] };
  // A removal makes the parent removable: nobody may ask for that meanwhile.
  const parent = "parent" in operation ? operation.parent : snapshots.get(key)?.parent;
  const relies = operation.do !== "update" && parent !== undefined && parent !== "";
  return { writes: [key], reads: relies ? [parent] : [] };
}
