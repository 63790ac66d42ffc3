// Everything that has to pass, in order: `npm test`. `npm test -- unit lint` runs only the named steps, and
// `npm test -- --with=kubernetes` adds the scenarios on real Kubernetes nodes.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { styleText } from "node:util";

const root = join(import.meta.dirname, "..");
const scratch = mkdtempSync(join(tmpdir(), "aeon-test-"));

/** Each step is one command; the two that run vitest count their tests one by one. Times are in minutes. */
const steps = [
  { name: "format", command: ["oxfmt", "--check"], limit: 5 },
  { name: "lint", command: ["nx", "run-many", "-t", "lint", "--output-style=static"], limit: 15 },
  { name: "lint-tools", command: ["oxlint", "--disable-nested-config", "tools"], limit: 5 },
  { name: "types", command: ["tsc", "-p", "tsconfig.json"], limit: 5 },
  { name: "unused", command: ["knip", "--no-config-hints"], limit: 5 },
  { name: "generated", command: ["node", "tools/check-generated.mjs"], limit: 5 },
  { name: "docs", command: ["node", "tools/docs.mjs", "--check"], limit: 5 },
  { name: "chart", command: ["node", "tools/chart.mjs", "--check"], limit: 5 },
  { name: "build", command: ["nx", "run-many", "-t", "build", "bundle", "--output-style=static"], limit: 15 },
  { name: "unit", vitest: "vitest.config.ts", limit: 20 },
  {
    name: "kubernetes-programs",
    command: ["node", "--conditions=@aeon/source", "e2e/kubernetes/programs.ts"],
    limit: 60,
    shown: true,
  },
  { name: "integration", vitest: "vitest.integration.config.ts", limit: 75 },
  { name: "kubernetes", vitest: "vitest.kubernetes.config.ts", limit: 30, after: ["kubernetes-programs"] },
];
/** What `npm test` leaves out unless asked with `--with=NAME`. */
const onlyWhenAsked = new Set(["kubernetes"]);

let running;
let interrupted = false;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"])
  process.on(signal, () => {
    interrupted = true;
    running?.kill("SIGTERM");
  });

/** At most so many failed test files are worth a second try; more are no bad luck. */
const secondTries = 3;

const words = process.argv.slice(2);
const added = words.flatMap((word) => (word.startsWith("--with=") ? [word.slice("--with=".length)] : []));
const chosen = words.filter((word) => !word.startsWith("--with="));
// What a chosen step needs runs too.
for (const step of steps) if (chosen.includes(step.name)) chosen.push(...(step.after ?? []));
const unknown = [...chosen, ...added].filter((name) => !steps.some((step) => step.name === name));
if (unknown.length > 0) {
  console.error(
    `aeon: no such step: ${unknown.join(", ")}; there are ${steps.map(({ name }) => name).join(", ")}`,
  );
  process.exit(2);
}

/** @type {{ passed: number, failed: string[], skipped: string[], unstable: string[] }} */
const total = { passed: 0, failed: [], skipped: [], unstable: [] };
try {
  for (const step of steps) {
    if (interrupted) total.failed.push(`${step.name}: interrupted`);
    else if (isWanted(step)) await runStep(step);
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
summarise();

function isWanted({ name }) {
  if (added.includes(name) || chosen.includes(name)) return true;
  return chosen.length === 0 && !onlyWhenAsked.has(name);
}

async function runStep(step) {
  console.log(`\n${styleText("bold", `▶ ${step.name}`)}`);
  const started = performance.now();
  const result = step.vitest ? await runVitest(step) : await runCommand(step);
  total.passed += result.passed;
  total.failed.push(...result.failed);
  total.skipped.push(...result.skipped);
  total.unstable.push(...(result.unstable ?? []));
  const good = result.failed.length === 0;
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(styleText(good ? "green" : "red", `${good ? "✔" : "✘"} ${step.name} (${seconds} s)`));
}

/** One command counts as one; what it printed is shown when it fails. */
async function runCommand({ name, command, limit, shown = false }) {
  const { code, output } = await execute(command, limit, shown ? "inherit" : "pipe");
  if (code === 0) return { passed: 1, failed: [], skipped: [] };
  console.log(output.trimEnd());
  return { passed: 0, failed: [`${name}: ${command.join(" ")} (${describe(code)})`], skipped: [] };
}

/**
 * Test files that failed are run once more, if they are few: on a busy machine one of thousands of tests that wait for
 * real programs may be unlucky. What passes only then is named in the summary, as something to look into.
 */
async function runVitest(step) {
  const first = await vitestEntries(step, []);
  const again = first.filter(({ failed }) => failed.length > 0).map(({ file }) => file);
  const isWorthIt = again.length > 0 && again.length <= secondTries && !again.includes(undefined);
  if (!isWorthIt || interrupted) return { ...joined(first), unstable: [] };
  console.log(`\n${styleText("bold", `▶ ${step.name}, once more: ${again.join(" ")}`)}`);
  const second = await vitestEntries(step, again);
  const tried = new Set(second.map(({ file }) => file));
  // A second run that could not even start decides nothing.
  if (!again.every((file) => tried.has(file))) return { ...joined(first), unstable: [] };
  const final = [...first.filter(({ file }) => !tried.has(file)), ...second];
  const stillFailed = new Set(joined(second).failed);
  return { ...joined(final), unstable: joined(first).failed.filter((name) => !stillFailed.has(name)) };
}

async function vitestEntries({ name, vitest, limit }, files) {
  const file = join(scratch, `${name}.json`);
  const reporter = join(import.meta.dirname, "count-reporter.mjs");
  const command = ["vitest", "run", "--config", vitest, "--reporter=default", `--reporter=${reporter}`];
  rmSync(file, { force: true });
  const { code } = await execute([...command, ...files], limit, "inherit", { AEON_TEST_RESULT: file });
  const failure = (text) => ({ passed: 0, failed: [`${name}: ${text} (${describe(code)})`], skipped: [] });
  if (!existsSync(file)) return [failure("vitest gave no result")];
  const entries = JSON.parse(readFileSync(file, "utf8"));
  const isAccounted = code === 0 || entries.some(({ failed }) => failed.length > 0);
  return isAccounted ? entries : [...entries, failure("vitest failed")];
}

function joined(entries) {
  return {
    passed: entries.reduce((sum, { passed }) => sum + passed, 0),
    failed: entries.flatMap(({ failed }) => failed),
    skipped: entries.flatMap(({ skipped }) => skipped),
  };
}

function execute([program, ...args], minutes, stdio, env = {}) {
  const { promise, resolve } = Promise.withResolvers();
  const child = spawn(program, args, {
    cwd: root,
    stdio: ["ignore", stdio, stdio],
    env: { ...process.env, ...env, NX_DAEMON: "false", NX_TUI: "false", DO_NOT_TRACK: "1" },
    timeout: minutes * 60_000,
  });
  running = child;
  const output = [];
  child.stdout?.on("data", (chunk) => output.push(chunk));
  child.stderr?.on("data", (chunk) => output.push(chunk));
  child.on("error", (error) => resolve({ code: error.message, output: error.message }));
  child.on("close", (code, signal) =>
    resolve({ code: code ?? signal, output: Buffer.concat(output).toString() }),
  );
  return promise;
}

function describe(code) {
  return typeof code === "number" ? `exit code ${code}` : String(code);
}

function summarise() {
  console.log();
  for (const name of total.skipped) console.log(`skipped: ${name}`);
  for (const name of total.unstable)
    console.log(styleText("yellow", `unstable: ${name}: failed first, passed when its file ran again`));
  for (const name of total.failed) console.log(styleText("red", `failed: ${name}`));
  const skipped = total.skipped.length > 0 ? `, ${total.skipped.length} skipped` : "";
  const unstable = total.unstable.length > 0 ? `, ${total.unstable.length} unstable` : "";
  console.log(`${total.passed} passed, ${total.failed.length} failed${skipped}${unstable}`);
  process.exitCode = total.failed.length === 0 && !interrupted ? 0 : 1;
}
