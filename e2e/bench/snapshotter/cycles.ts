import { row, type BenchmarkContext, type Row } from "../benchmark.ts";
import { journaledFolder, ownFolder, type MeasuredFolder } from "../file-systems.ts";
import type { LoadResult } from "../load-generator.ts";
import { median } from "../statistics.ts";
import { startContest, type Contestant } from "./contestants.ts";

const layers = 10;
const rounds = 9;
const sequential = { do: "cycles", count: 250, workers: 1 } as const;
const concurrent = { do: "cycles", count: 1200, workers: 16 } as const;

interface Round {
  readonly sequential: LoadResult;
  readonly concurrent: LoadResult;
  readonly cleanup: LoadResult;
}

/** Prepare, Mounts and Remove on a chain of layers with durable metadata, by containerd's Go client. */
export async function* cycles(context: BenchmarkContext): AsyncIterable<Row> {
  yield* cyclesOn(() => journaledFolder(), context);
  yield* cyclesOn(ownFolder, context);
}

async function* cyclesOn(
  place: () => Promise<MeasuredFolder>,
  { signal, progress }: BenchmarkContext,
): AsyncIterable<Row> {
  await using folder = await place();
  await using contest = await startContest(folder.path);
  await contest.round(0, ({ load }) => load.ask({ do: "chain", count: layers }));
  await contest.round(1, measure);
  const results: { aeon: Round; peer: Round }[] = [];
  for (let number = 0; number < rounds; number++) {
    signal.throwIfAborted();
    progress(`cycles on ${folder.name}, round ${number + 1} of ${rounds}`);
    results.push(await contest.round(number, measure));
  }
  const compare = (of: (round: Round) => number) => ({
    value: median(results.map(({ aeon }) => of(aeon))),
    peer: median(results.map(({ peer }) => of(peer))),
  });
  const noSlower = { of: "ratio", atMost: 1 } as const;
  yield row({
    name: `cycle, sequential, p50, ${folder.name}`,
    unit: "ms",
    goal: noSlower,
    ...compare((round) => round.sequential.p50Microseconds / 1000),
  });
  for (const call of ["prepare", "mounts", "remove"])
    yield row({
      name: `  ${call}, p50`,
      unit: "ms",
      ...compare((round) => (round.sequential.p50OfCalls?.[call] ?? NaN) / 1000),
    });
  yield row({
    name: "  cycle, sequential, p99",
    unit: "ms",
    ...compare((round) => round.sequential.p99Microseconds / 1000),
  });
  yield row({
    name: `cycles, ${concurrent.workers} workers, ${folder.name}`,
    unit: "/s",
    goal: { of: "ratio", atLeast: 1 },
    ...compare((round) => (round.concurrent.count / round.concurrent.totalMicroseconds) * 1e6),
  });
  yield row({
    name: `  cycle, ${concurrent.workers} workers, p99`,
    unit: "ms",
    ...compare((round) => round.concurrent.p99Microseconds / 1000),
  });
  yield row({
    name: "  Cleanup, per removed snapshot",
    unit: "ms",
    ...compare((round) => round.cleanup.totalMicroseconds / 1000 / (sequential.count + concurrent.count)),
  });
}

async function measure({ load }: Contestant): Promise<Round> {
  return {
    sequential: await load.ask(sequential),
    concurrent: await load.ask(concurrent),
    cleanup: await load.ask({ do: "cleanup" }),
  };
}
