import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { listProcesses, mountsBelow, run } from "@aeon/standalone";
import { leftBehind, temporaryFolder } from "@aeon/testkit";

const workspace = join(import.meta.dirname, "..");
const image = "localhost/busybox:latest";
/** How long the sleeping container would live: a number nothing else uses, to find its process by. */
const seconds = String(86_400 + process.pid);

/** `npm start` at a terminal of its own, as a person would run it. */
class NpmStart implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown[]>;
  output = "";

  constructor(root: string, env: NodeJS.ProcessEnv = {}) {
    this.#child = spawn(
      "script",
      ["--quiet", "--return", "--command", `npm start -- --root ${root}`, "/dev/null"],
      {
        cwd: workspace,
        env: { ...process.env, ...env },
        stdio: ["pipe", "pipe", "inherit"],
      },
    );
    this.#ended = once(this.#child, "exit");
    this.#child.stdout?.on("data", (chunk: Buffer) => (this.output += chunk.toString()));
  }

  /** Resolves once the text was printed; rejects with everything printed when the program ends first. */
  async says(text: string): Promise<void> {
    while (!this.output.includes(text)) {
      const more = once(this.#child.stdout ?? this.#child, "data");
      const ended = await Promise.race([more.then(() => false), this.#ended.then(() => true)]);
      if (ended && !this.output.includes(text))
        throw new Error(`npm start ended without saying "${text}":\n${this.output}`);
    }
  }

  /** Takes the terminal away, as closing its window does. */
  hangUp(): void {
    this.#child.kill("SIGKILL");
  }

  /** Types Ctrl-C. */
  interrupt(): void {
    this.#child.stdin?.write("\u0003");
  }

  async exitCode(): Promise<unknown> {
    const [code] = await this.#ended;
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null) this.interrupt();
    await this.#ended;
  }
}

/** ctr drops the output of a container that ends before ctr has opened its pipes, as happens on a busy machine. */
const linger = "sleep 1";

const sleepers = async () =>
  (await listProcesses()).filter(({ args }) => args[0] === "sleep" && args[1] === seconds);

async function socketsBelow(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isSocket()).map(({ parentPath, name }) => join(parentPath, name));
}

async function expectNothingLeft(root: string): Promise<void> {
  expect(await leftBehind(root)).toEqual([]);
  expect(await socketsBelow(root)).toEqual([]);
  expect(await sleepers()).toEqual([]);
}

/** Runs the ctr that npm start put into its folder. */
const ctrIn =
  (root: string) =>
  async (...args: readonly string[]): Promise<string> =>
    (await run(join(root, "bin/ctr"), args)).stdout;

/** The commands that npm start tells its user to try. */
const printedCommands = (output: string, root: string): readonly string[] =>
  output.split(/\r?\n/).flatMap((line) => (line.startsWith(`  ${root}/bin/`) ? [line.trim()] : []));

const shell = async (command: string): Promise<string> => (await run("sh", ["-c", command])).stdout;

test("npm start: the three commands work, Ctrl-C leaves nothing behind, files stay", async () => {
  await using temporary = await temporaryFolder("s");
  const root = join(temporary.path, "r");
  const ctr = ctrIn(root);
  {
    await using aeon = new NpmStart(root);
    await aeon.says("Ctrl-C stops everything");

    const [change = "", list = "", restore = "", ...others] = printedCommands(aeon.output, root);
    expect(others).toEqual([]);
    await shell(change);
    await expect.poll(() => shell(list), { timeout: 30_000, interval: 100 }).toMatch(/\bdemo\b/);
    const restored = await shell(restore.replace("ls -l /root /etc", `sh -c 'ls -l /root /etc; ${linger}'`));
    expect(restored).toMatch(/ note$/m);
    expect(restored).toMatch(/ passwd$/m);
    expect(restored).not.toMatch(/ motd$/m);

    await ctr("run", "--detach", image, "sleeper", "sleep", seconds);
    await expect.poll(sleepers).toHaveLength(1);
    expect(await mountsBelow(root)).not.toEqual([]);

    await using second = new NpmStart(root);
    expect(await second.exitCode()).toBe(1);
    expect(second.output).toContain(`aeon already runs on ${root}`);

    aeon.interrupt();
    // The shell between npm and aeon saw Ctrl-C too and may say so with 130.
    expect([0, 130]).toContain(await aeon.exitCode());
    expect(aeon.output).toContain("no process, mount or socket is left");
  }
  await expectNothingLeft(root);
  {
    await using again = new NpmStart(root);
    await again.says("Ctrl-C stops everything");
    expect(await ctr("containers", "list", "--quiet")).toBe("sleeper\n");
  }
  await expectNothingLeft(root);
});

test.each([
  { victims: "all of its processes", isVictim: () => true },
  { victims: "npm start alone", isVictim: (args: readonly string[]) => args.includes("--root") },
])("after SIGKILL of $victims the next start ends what is left", async ({ isVictim }) => {
  await using temporary = await temporaryFolder("s");
  const root = join(temporary.path, "r");
  const ctr = ctrIn(root);
  {
    await using aeon = new NpmStart(root);
    await aeon.says("Ctrl-C stops everything");
    await ctr("run", "--detach", image, "sleeper", "sleep", seconds);
    const own = (await listProcesses()).filter(
      ({ args }) => args.some((arg) => arg.includes(root)) && isVictim(args),
    );
    expect(own).not.toEqual([]);
    for (const { pid } of own) process.kill(pid, "SIGKILL");
    expect(await aeon.exitCode()).not.toBe(0);
  }
  expect(await mountsBelow(root)).not.toEqual([]);
  {
    await using again = new NpmStart(root);
    await again.says("Ctrl-C stops everything");
    expect(await sleepers()).toEqual([]);
    expect(await ctr("run", "--rm", image, "after", "sh", "-c", `echo works; ${linger}`)).toBe("works\n");
  }
  await expectNothingLeft(root);
});

test("when the terminal is closed everything is stopped all the same", async () => {
  await using temporary = await temporaryFolder("s");
  const root = join(temporary.path, "r");
  {
    await using aeon = new NpmStart(root);
    await aeon.says("Ctrl-C stops everything");
    await ctrIn(root)("run", "--detach", image, "sleeper", "sleep", seconds);
    aeon.hangUp();
    await aeon.exitCode();
  }
  await expect.poll(() => leftBehind(root), { timeout: 30_000, interval: 100 }).toEqual([]);
  await expectNothingLeft(root);
});

test.each(["agent", "containerd"])(
  "when the %s dies npm start says so, stops the rest and fails",
  async (victim) => {
    await using temporary = await temporaryFolder("s");
    const root = join(temporary.path, "r");
    await using aeon = new NpmStart(root);
    await aeon.says("Ctrl-C stops everything");
    const pid = new RegExp(`^ +${victim} .*?pid (\\d+)`, "m").exec(aeon.output)?.[1];
    process.kill(Number(pid), "SIGKILL");
    expect(await aeon.exitCode()).toBe(1);
    expect(aeon.output).toMatch(new RegExp(`${victim} ended with SIGKILL`));
    expect(aeon.output).toContain("no process, mount or socket is left");
    await expectNothingLeft(root);
  },
);

/** A cache without packages and a PATH without containerd, so that a package source is needed. */
function bareMachine(folder: string): NodeJS.ProcessEnv {
  return { XDG_CACHE_HOME: join(folder, "cache"), APT_CONFIG: join(folder, "apt.conf") };
}

test("without a package source npm start says what is missing and starts nothing", async () => {
  await using temporary = await temporaryFolder("s");
  const env = bareMachine(temporary.path);
  await writeFile(
    env["APT_CONFIG"] ?? "",
    'Dir::Etc::SourceList "/dev/null";\nDir::Etc::SourceParts "/dev/null";\n',
  );
  const root = join(temporary.path, "r");
  await using aeon = new NpmStart(root, env);
  expect(await aeon.exitCode()).toBe(1);
  expect(aeon.output).toMatch(/package (containerd|runc|busybox-static) of Debian \w+ cannot be fetched/);
  expect(aeon.output).toMatch(/names no mirror of Debian/);
  await expectNothingLeft(root);
});

test("Ctrl-C during the start stops what was started", async () => {
  await using temporary = await temporaryFolder("s");
  const root = join(temporary.path, "r");
  await using aeon = new NpmStart(root);
  await aeon.says("agent started");
  aeon.interrupt();
  expect([0, 130]).toContain(await aeon.exitCode());
  expect(aeon.output).toMatch(/stopped before it was ready|no process, mount or socket is left/);
  await expectNothingLeft(root);
});

test("a folder too long for sockets is refused before anything is done", async () => {
  await using temporary = await temporaryFolder("s");
  const root = join(temporary.path, "r".repeat(90));
  await using aeon = new NpmStart(root);
  expect(await aeon.exitCode()).toBe(1);
  expect(aeon.output).toMatch(/bytes too long to have Unix sockets below it.*--root/s);
  await expect(stat(root)).rejects.toThrow("ENOENT");
});

test("without root npm start says so and touches nothing", async () => {
  await using temporary = await temporaryFolder("s");
  const root = join(temporary.path, "r");
  const bootstrap = join(workspace, "tools/bootstrap.mjs");
  // A user namespace in which this user is not root: the checkout can still be read, whoever owns it.
  const command = run("unshare", [
    "--user",
    "--map-user=1000",
    process.execPath,
    bootstrap,
    "start",
    "--root",
    root,
  ]);
  await expect(command).rejects.toThrow(/containerd needs root, and this is user 1000: run `sudo npm start`/);
  await expect(stat(root)).rejects.toThrow("ENOENT");
});
