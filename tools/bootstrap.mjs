// Entry of `npm start`, `npm test`, `npm run bench`, `npm run e2e:k8s` and their like. Runs on the system's Node with nothing
// installed: checks the machine, installs the workspace's dependencies when they are not those of the lockfile, and goes
// on under the pinned Node that came with them.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync, statfsSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const programs = {
  start: ["packages/standalone/src/main.ts"],
  test: ["tools/test.mjs"],
  bench: ["e2e/bench/main.ts"],
  "e2e:k8s": ["tools/test.mjs", "kubernetes"],
  conformance: ["e2e/runc-suite/main.ts"],
  soak: ["tools/soak.mjs"],
};
const neededGigabytes = 2;

const [command, ...args] = process.argv.slice(2);
const program = programs[command];
if (program === undefined) refuse([`usage: node tools/bootstrap.mjs ${Object.keys(programs).join("|")}`]);
const asking = args.includes("--help") || args.includes("-h");
const missing = asking ? [] : missingOnThisMachine();
if (missing.length > 0) refuse(missing);
installDependencies();
runProgram(program);

/** One line for each thing the machine lacks, with what to do about it. */
function missingOnThisMachine() {
  const lines = [];
  if (process.platform !== "linux") lines.push(`aeon runs on Linux only; this is ${process.platform}.`);
  if (!["x64", "arm64"].includes(process.arch))
    lines.push(`aeon runs on x86-64 and arm64 only; this machine is ${process.arch}.`);
  if (process.getuid?.() !== 0)
    lines.push(
      `containerd needs root, and this is user ${process.getuid?.()}: run \`sudo npm ${npmWords()}\`.`,
    );
  const { bavail, bsize } = statfsSync(root);
  const free = (bavail * bsize) / 1e9;
  if (free < neededGigabytes)
    lines.push(`${neededGigabytes} GB of disk are needed at ${root}, ${free.toFixed(1)} GB are free.`);
  return lines;
}

function npmWords() {
  return command === "start" || command === "test" ? command : `run ${command}`;
}

function refuse(lines) {
  for (const line of lines) console.error(`aeon: ${line}`);
  process.exit(1);
}

function installDependencies() {
  if (dependenciesMatchLockfile()) return;
  console.error("aeon: installing the workspace's dependencies (npm ci)…");
  const [npm, ...npmArgs] = process.env.npm_execpath ? [process.execPath, process.env.npm_execpath] : ["npm"];
  const { status, error } = spawnSync(
    npm,
    [...npmArgs, "ci", "--no-audit", "--no-fund", "--loglevel=error"],
    {
      cwd: root,
      stdio: "inherit",
    },
  );
  if (error !== undefined) refuse([`npm cannot be run (${error.message}): install npm, Debian package npm.`]);
  if (status !== 0)
    refuse(["npm ci failed: npm's registry has to be reachable once; what npm says is above."]);
  if (!existsSync(pinnedNode()))
    refuse([`npm ci left no ${pinnedNode()}: were optional dependencies omitted (npm config get omit)?`]);
}

/** Compares what npm recorded as installed with the lockfile; an interrupted installation has no record. */
function dependenciesMatchLockfile() {
  const record = join(root, "node_modules/.package-lock.json");
  if (!existsSync(record) || !existsSync(pinnedNode())) return false;
  const installed = packagesOf(record);
  return Object.entries(packagesOf(join(root, "package-lock.json"))).every(
    ([path, { version, link, optional, devOptional, peer }]) =>
      !path.includes("node_modules/") ||
      link === true ||
      ((optional || devOptional || peer) && installed[path] === undefined) ||
      installed[path]?.version === version,
  );
}

function packagesOf(lockfile) {
  return JSON.parse(readFileSync(lockfile, "utf8")).packages ?? {};
}

function pinnedNode() {
  return join(root, `node_modules/node-linux-${process.arch}/bin/node`);
}

function runProgram([file, ...first]) {
  const path = [dirname(pinnedNode()), join(root, "node_modules/.bin"), process.env.PATH].join(delimiter);
  const child = spawn(
    pinnedNode(),
    [
      "--conditions=@aeon/source",
      "--disable-warning=ExperimentalWarning",
      join(root, file),
      ...first,
      ...args,
    ],
    { stdio: "inherit", env: { ...process.env, PATH: path } },
  );
  // The child ends when it is ready to; this process only passes on what it is told and waits.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => refuse([`${pinnedNode()} cannot be run: ${error.message}`]));
  child.on("exit", (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
}
