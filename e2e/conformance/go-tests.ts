import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** Outcome of one Go test without sub-tests. */
export interface GoTestResult {
  readonly name: string;
  readonly outcome: "pass" | "fail" | "skip";
  readonly seconds: number;
  /** What the test printed. */
  readonly output: string;
}

export interface GoTestOptions {
  /** A binary of `go test -c`. */
  readonly binary: string;
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Milliseconds until the run is ended and what was running counts as failed. */
  readonly timeoutMs: number;
}

interface Running {
  output: string;
  outcome?: GoTestResult["outcome"];
  seconds: number;
}

const outcomes = { PASS: "pass", FAIL: "fail", SKIP: "skip" } as const;
/** Lines of `-test.v=test2json`: a mark (SYN) starts each line that is the framework's and not the test's. */
const mark = "\u0016";
const started = /^=== (?:RUN|CONT|NAME) +(\S+)$/;
const ended = /^ *--- (PASS|FAIL|SKIP): (\S+) \(([\d.]+)s\)$/;

/** Runs a Go test binary and answers its leaf tests; a test that did not end is a failure. */
export async function runGoTests(options: GoTestOptions): Promise<readonly GoTestResult[]> {
  const { binary, env, cwd, timeoutMs } = options;
  const child = spawn(binary, ["-test.v=test2json", `-test.timeout=${timeoutMs}ms`], {
    cwd,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit") as Promise<[code: number | null]>;
  const tests = await collect(createInterface({ input: child.stdout }));
  const [code] = await exited;
  const results = leaves(tests);
  if (results.length === 0) throw new Error(`${binary} ran no test and ended with ${code}`);
  if (code !== 0 && results.every(({ outcome }) => outcome !== "fail"))
    throw new Error(`${binary} ended with ${code} although no test failed`);
  return results;
}

async function collect(lines: AsyncIterable<string>): Promise<ReadonlyMap<string, Running>> {
  const tests = new Map<string, Running>();
  const running = (name: string): Running => {
    const known = tests.get(name) ?? { output: "", seconds: 0 };
    tests.set(name, known);
    return known;
  };
  let current: Running | undefined;
  for await (const raw of lines) {
    const line = raw.startsWith(mark) ? raw.slice(1) : raw;
    const [, start] = started.exec(line) ?? [];
    const [, verdict, name, seconds] = ended.exec(line) ?? [];
    if (start !== undefined) current = running(start);
    else if (name !== undefined)
      Object.assign((current = running(name)), {
        outcome: outcomes[verdict as keyof typeof outcomes],
        seconds: Number(seconds),
      });
    else if (current) current.output += `${line}\n`;
  }
  return tests;
}

function leaves(tests: ReadonlyMap<string, Running>): readonly GoTestResult[] {
  const parents = new Set(
    [...tests.keys()].filter((name) => name.includes("/")).map((name) => name.slice(0, name.indexOf("/"))),
  );
  return [...tests].flatMap(([name, { outcome = "fail", seconds, output }]) =>
    parents.has(name) && outcome !== "fail" ? [] : [{ name, outcome, seconds, output }],
  );
}
