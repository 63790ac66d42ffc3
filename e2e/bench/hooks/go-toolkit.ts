import { access, mkdir, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { row, type BenchmarkContext, type Row } from "../benchmark.ts";
import { median } from "../statistics.ts";
import { life, timed } from "./lives.ts";

export interface BesideGoOptions extends Pick<BenchmarkContext, "progress" | "signal"> {
  readonly folder: string;
  readonly bundle: { readonly plain: string; readonly hooked: string; readonly spec: string };
  readonly runc: string;
  /** aeon's launcher with the same unconditional hook. */
  readonly launcher: string;
  readonly rounds: number;
}

/** Program of container-hooks-toolkit written in Go, to be measured beside us. */
const variable = "AEON_BENCH_GO_TOOLKIT";
/** The only place where it looks for its configuration. */
const etc = "/etc/container-hooks";
const atMost = 0.6;

/** A life below our launcher against one below the Go toolkit's, each beyond runc with the hook in the spec. */
export async function* besideGo(options: BesideGoOptions): AsyncIterable<Row> {
  const { folder, bundle, runc, launcher, rounds, progress, signal } = options;
  const program = process.env[variable];
  if (program === undefined) {
    progress(`the Go toolkit is not measured: ${variable} does not name its container-hooks-runtime`);
    return;
  }
  const own = join(folder, "go-etc");
  await mkdir(own);
  await writeFile(join(own, "hooks.json"), JSON.stringify({ createRuntime: [{ path: "/bin/true" }] }));
  const config = `[container-hooks]\npath = "${etc}/hooks.json"\n[container-hooks-runtime]\ndebug = "/dev/null"\nruntimes = [${JSON.stringify(runc)}]\n`;
  await writeFile(join(own, "config.toml"), config);
  const existed = await access(etc).then(
    () => true,
    () => false,
  );
  if (!existed) await mkdir(etc);
  // Its configuration appears there for one life only; the others get the same wrapping.
  const script = `exec unshare --mount sh -c 'mount --bind "$4" ${etc}; ${life}' sh "$@"`;
  const run = async (runtime: string, spec: string): Promise<number> => {
    const time = await timed(script, [runtime, join(folder, "state"), spec, own]);
    await writeFile(join(bundle.plain, "config.json"), bundle.spec);
    return time;
  };
  try {
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let round = -1; round < rounds; round++) {
      signal.throwIfAborted();
      if (round % 10 === 0) progress(`lives beside the Go toolkit, round ${round + 1} of ${rounds}`);
      const plain = await run(runc, bundle.hooked);
      const go = await run(program, bundle.plain);
      const aeon = await run(launcher, bundle.plain);
      if (round < 0) continue;
      ours.push(aeon - plain);
      theirs.push(go - plain);
    }
    yield row({
      name: "life of four calls with an unconditional hook, added; the Go toolkit beside",
      unit: "ms",
      value: median(ours),
      peer: median(theirs),
      goal: { of: "ratio", atMost },
    });
  } finally {
    if (!existed) await rmdir(etc);
  }
}
