import type { Operation, Snapshots } from "./model.ts";
import type { Random } from "./random.ts";

/** How many snapshots a run keeps; more are removed than made above it. */
const crowd = 60;

/** Makes up the next operation: mostly one that must succeed, now and then one that must be refused. */
export class Chooser {
  readonly #random: Random;
  #number = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  next(snapshots: Snapshots): Operation {
    const active = keysOf(snapshots, "active");
    const committed = keysOf(snapshots, "committed");
    const any = [...snapshots.keys()];
    const dice = this.#random.next();
    const key = this.#random.pick(any);
    if (key !== undefined && snapshots.size > crowd && dice < 0.6) return { do: "remove", key };
    if (dice < 0.4) return this.#make(this.#random.chance(0.05) ? key : undefined, committed);
    const writable = this.#random.pick(active);
    if (dice < 0.65 && writable !== undefined)
      return {
        do: "commit",
        key: writable,
        name: this.#random.chance(0.1) && key !== undefined ? key : this.#fresh("layer"),
        labels: this.#labels(),
      };
    if (key === undefined) return this.#make(undefined, committed);
    return dice < 0.85 ? { do: "remove", key } : { do: "update", key, labels: this.#labels() };
  }

  #make(taken: string | undefined, committed: readonly string[]): Operation {
    return {
      do: this.#random.chance(0.25) ? "view" : "prepare",
      key: taken ?? this.#fresh("k8s.io/1/container"),
      parent: this.#random.chance(0.2) ? "" : (this.#random.pick(committed) ?? ""),
      labels: this.#labels(),
    };
  }

  #fresh(what: string): string {
    return `${what} ${++this.#number}`;
  }

  #labels(): Readonly<Record<string, string>> {
    return this.#random.chance(0.5) ? { number: String(this.#random.below(1000)) } : {};
  }
}

const keysOf = (snapshots: Snapshots, kind: string): readonly string[] =>
  [...snapshots].filter(([, entry]) => entry.kind === kind).map(([key]) => key);
