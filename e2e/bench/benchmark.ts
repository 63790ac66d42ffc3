/** One measured fact. Serialised as it is by `--json`. */
export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** The same measurement of the peer, in the same unit. */
  readonly peer: number | null;
  /** Value divided by peer. */
  readonly ratio: number | null;
  /** In words, such as `ratio at most 1.03`. */
  readonly goal: string | null;
  readonly pass: boolean | null;
}

/** A bound on the value, or on its ratio to the peer. */
export interface Goal {
  readonly of: "value" | "ratio";
  readonly atMost?: number;
  readonly atLeast?: number;
}

export interface Measurement {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly peer?: number;
  readonly goal?: Goal;
}

/** A group of measurements behind one name of `npm run bench -- NAME`: the default export of `suites/NAME.ts`. */
export interface Benchmark {
  /** One line for people: what is compared with what. */
  readonly title: string;
  /** Measures and yields each row as soon as it is known. */
  run(context: BenchmarkContext): AsyncIterable<Row>;
}

export interface BenchmarkContext {
  readonly signal: AbortSignal;
  /** Tells what is being done. */
  readonly progress: (message: string) => void;
  /** True to run on small sizes, which checks the benchmark and measures nothing. */
  readonly quick: boolean;
  /** True to run on the largest sizes where the usual ones are smaller. */
  readonly full: boolean;
}

/** Completes a measurement with ratio and verdict. */
export function row({ name, value, unit, peer, goal }: Measurement): Row {
  const ratio = peer === undefined ? null : value / peer;
  const judged = goal?.of === "ratio" ? ratio : value;
  return {
    name,
    value,
    unit,
    peer: peer ?? null,
    ratio,
    goal: goal ? wording(goal, unit) : null,
    pass:
      goal && judged !== null
        ? judged <= (goal.atMost ?? Infinity) && judged >= (goal.atLeast ?? -Infinity)
        : null,
  };
}

function wording({ of, atMost, atLeast }: Goal, unit: string): string {
  const bounds = [
    ...(atMost === undefined ? [] : [`at most ${atMost}`]),
    ...(atLeast === undefined ? [] : [`at least ${atLeast}`]),
  ];
  return of === "ratio" ? `ratio ${bounds.join(", ")}` : `${bounds.join(", ")} ${unit}`;
}
