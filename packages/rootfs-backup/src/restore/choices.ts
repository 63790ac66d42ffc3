import {
  capability,
  type Capability,
  type ContainerEntry,
  type ContainerRegistry,
  type PodIdentity,
} from "@aeon/core";
import type { BindingRecords } from "../records/binding-records.ts";
import type { Choice, ChoiceRecords } from "../records/choice-records.ts";

/** What a controller of the cluster says of starts of this node's containers, and is told of them. */
export interface Starts {
  /** Lets the next container of the name in the pod start with the backup, whatever it would continue by itself. Durable. */
  choose(choice: Omit<Choice, "state" | "failure">): Promise<void>;
  readonly choices: readonly Choice[];
  /** Takes a choice back, or forgets how it ended. */
  forget(id: string): Promise<void>;
  /**
   * Asks `gate` before a container of a pod that replaces none of its own pod looks for its workload's files. It must
   * be bounded in time; what it throws is logged and stops nothing.
   */
  gate(gate: StartGate): Disposable;
  /** Tells how starts fare that have files to get. */
  observe(observer: StartObserver): Disposable;
}

export type StartGate = (pod: PodIdentity, signal: AbortSignal) => Promise<void>;

export interface StartReport {
  readonly pod: PodIdentity;
  readonly state: "waiting" | "restored" | "failed";
  readonly message: string;
}
export type StartObserver = (report: StartReport) => void;

/** Provided by the backup plugin. */
export const starts: Capability<Starts> = capability("starts");

export interface ChoicesOptions {
  readonly records: ChoiceRecords;
  readonly bindings: BindingRecords;
  readonly registry: ContainerRegistry | undefined;
  /** Unpacks ahead. */
  readonly prefetch: (backup: Choice["backup"]) => void;
  readonly onGateFailure: (error: unknown) => void;
}

/** See {@link Starts}. */
export class Choices implements Starts {
  readonly #options: ChoicesOptions;
  readonly #gates = new Set<StartGate>();
  readonly #observers = new Set<StartObserver>();

  constructor(options: ChoicesOptions) {
    this.#options = options;
  }

  /** Ends choices that an earlier process had heeded and not noted. */
  async reconcile(): Promise<void> {
    const { records, bindings, registry } = this.#options;
    for (const { snapshotKey, backup, boundAt } of bindings.list()) {
      const pod = registry?.bySnapshot(snapshotKey)?.pod;
      const choice = pod && records.pending(pod);
      if (choice?.backup === backup && boundAt >= choice.requestedAt) await this.#end(choice, "done");
    }
  }

  get choices(): readonly Choice[] {
    return this.#options.records.list();
  }

  async choose(choice: Omit<Choice, "state" | "failure">): Promise<void> {
    const { records, prefetch } = this.#options;
    const known = records.get(choice.id);
    if (known !== undefined && (known.state !== "pending" || known.backup === choice.backup)) return;
    await records.put({ ...choice, state: "pending" });
    prefetch(choice.backup);
  }

  forget(id: string): Promise<void> {
    return this.#options.records.forget(id);
  }

  gate(gate: StartGate): Disposable {
    this.#gates.add(gate);
    return { [Symbol.dispose]: () => void this.#gates.delete(gate) };
  }

  observe(observer: StartObserver): Disposable {
    this.#observers.add(observer);
    return { [Symbol.dispose]: () => void this.#observers.delete(observer) };
  }

  pendingFor({ pod }: ContainerEntry): Choice | undefined {
    return pod && this.#options.records.pending(pod);
  }

  /** Resolves when all gates are open. */
  async opened({ pod }: ContainerEntry, signal: AbortSignal): Promise<void> {
    if (pod === undefined) return;
    for (const gate of this.#gates)
      try {
        await gate(pod, signal);
      } catch (error) {
        signal.throwIfAborted();
        this.#options.onGateFailure(error);
      }
  }

  /** The container got the files of the choice; those for it that were older are void. */
  async heeded(choice: Choice): Promise<void> {
    for (const each of this.choices)
      if (each.id !== choice.id && each.state === "pending" && isSamePlace(each, choice))
        await this.#end(each, "failed", "a later restore of the same container was heeded");
    await this.#end(choice, "done");
  }

  async refused(choice: Choice, failure: string): Promise<void> {
    await this.#end(choice, "failed", failure);
  }

  /** A start with the choice failed; it stays. */
  async note(choice: Choice, failure: string): Promise<void> {
    await this.#options.records.put({ ...choice, failure });
  }

  report({ pod }: ContainerEntry, state: StartReport["state"], message: string): void {
    if (pod !== undefined) for (const observer of this.#observers) observer({ pod, state, message });
  }

  async #end(choice: Choice, state: "done" | "failed", failure?: string): Promise<void> {
    const { failure: _, ...rest } = choice;
    await this.#options.records.put({ ...rest, state, ...(failure !== undefined && { failure }) });
  }
}

const isSamePlace = ({ pod: a }: Choice, { pod: b }: Choice): boolean =>
  a.namespace === b.namespace && a.name === b.name && a.container === b.container;
