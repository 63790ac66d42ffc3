import { mkdir, readdir, readFile, rm, stat, symlink, writeFile, chmod } from "node:fs/promises";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { argumentProbe, buildPrograms, call, testToolkit } from "./toolkit.ts";
import { isUsableSed } from "../src/runtime/usable-sed.ts";
import { debianFile, temporaryFolder } from "@aeon/testkit";

beforeAll(buildPrograms);

const spec =
  '{"ociVersion":"1.1.0","big":18446744073709551615,"float":1.0,"process":{"args":["/bin/sh"],"env":["A=1"]}}';
const hooks = (path = "/bin/true") => ({ createRuntime: [{ path }] });
const spliced = (path = "/bin/true") => spec.replace("{", `{"hooks":{"createRuntime":[{"path":"${path}"}]},`);

async function probed() {
  const folder = await temporaryFolder("probe");
  const probe = await argumentProbe(folder.path);
  const toolkit = await testToolkit([probe.path]);
  const bundle = join(folder.path, "b");
  await mkdir(bundle);
  const config = join(bundle, "config.json");
  await writeFile(config, spec);
  return {
    folder: folder.path,
    toolkit,
    probe,
    bundle,
    config,
    read: () => readFile(config, "utf8"),
    run: (...args: string[]) => call(toolkit.launcher, args, { cwd: bundle }),
    /** Puts rules into force that are not from just now: those might still change within a tick of the clock. */
    async compiled(rules: object) {
      await toolkit.rules(rules);
      // The first one makes the log, which changes the folder that is watched.
      for (let round = 0; round < 2; round++) {
        await call(toolkit.launcher, ["create", "c1"], { cwd: bundle });
        await writeFile(config, spec);
      }
    },
    /** Lets the launcher fail when it needs Node, and answers what it was before. */
    async withoutHelper() {
      const text = await readFile(toolkit.launcher, "utf8");
      await writeFile(toolkit.launcher, text.replaceAll("container-hooks-helper.js", "gone.js"));
      return text;
    },
    async [Symbol.asyncDispose]() {
      await toolkit[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

describe("arguments", () => {
  const globals = [
    [],
    ["--root", "create"],
    ["--root=run"],
    ["-root", "restore", "--log", "LOG", "--log-format", "json", "--systemd-cgroup"],
    ["--log=LOG", "-log-format=json"],
    ["--debug", "--rootless", "auto", "--criu=/x"],
    ["--cgroup-manager", "disabled"],
    ["--unknown", "value", "--"],
  ];
  const commands: [readonly string[], boolean][] = [
    [["create", "c1"], true],
    [["create", "--bundle", "BUNDLE", "c1"], true],
    [["create", "-b", "BUNDLE", "--pid-file", "create", "c1"], true],
    [["create", "c1", "--bundle=BUNDLE"], true],
    [["create", "-bundle=BUNDLE", "--console-socket", "-h", "c1"], true],
    [["run", "--detach", "run"], true],
    [["restore", "--image-path", "x", "c1"], true],
    [["create", "--", "-h"], true],
    [["create", "-h"], false],
    [["create", "--help", "c1"], false],
    [["delete", "create"], false],
    [["kill", "start", "TERM"], false],
    [["state", "run"], false],
    [["list"], false],
    [["exec", "c", "svc", "create", "--version"], false],
    [["features"], false],
    [["--version"], false],
    [["--version", "create", "c1"], false],
    [["checkpoint", "create"], false],
    [["", "create"], false],
  ];

  test.each(globals)("after %j every subcommand is told apart and arrives unchanged", async (...words) => {
    await using setup = await probed();
    await setup.toolkit.rules(hooks());
    const log = join(setup.folder, "log");
    for (const [command, injects] of commands) {
      await writeFile(setup.config, spec);
      const args = [...words, ...command].map((word) =>
        word.replace("BUNDLE", setup.bundle).replace("LOG", log),
      );
      const { code, stderr, stdout } = await setup.run(...args);
      expect({ args, code, stdout, stderr }).toEqual({ args, code: 7, stdout: "", stderr: "" });
      expect(await setup.probe.args()).toEqual(args);
      expect({ args, text: await setup.read() }).toEqual({ args, text: injects ? spliced() : spec });
    }
  });

  test("bytes that are no UTF-8, spaces and newlines pass, in arguments and in the bundle's path", async () => {
    await using setup = await probed();
    await setup.toolkit.rules({
      version: 1,
      rules: [{ name: "a", when: { commands: "sh" }, hooks: hooks() }],
    });
    const odd = Buffer.from(`${setup.folder}/b \n\xff'"$x`, "latin1");
    await mkdir(odd);
    await writeFile(Buffer.concat([odd, Buffer.from("/config.json")]), spec);
    const script = `exec '${setup.toolkit.launcher}' create --bundle "$(printf '%b.' "$1")" c1`;
    const octal = [...odd].map((byte) => `\\0${byte.toString(8).padStart(3, "0")}`).join("");
    const { code } = await call("/bin/sh", [
      "-c",
      script.replace("%b.", "%b").replace('"$(', '"$(').concat(""),
      "sh",
      octal,
    ]);
    expect(code).toBe(7);
    expect((await setup.probe.args())[2]).toBe(odd.toString("latin1"));
    expect(await readFile(Buffer.concat([odd, Buffer.from("/config.json")]), "utf8")).toBe(spliced());
  });
});

describe("config.json", () => {
  test("unconditional hooks are put in without Node, conditional ones with it, with the same result", async () => {
    await using setup = await probed();
    await setup.compiled(hooks());
    const withHelper = await setup.withoutHelper();
    await setup.run("create", "c1");
    expect(await setup.read()).toBe(spliced());
    expect(await readFile(join(setup.toolkit.paths.state, "plan.sh"), "utf8")).toContain("_ch_plan=static");
    await writeFile(setup.toolkit.launcher, withHelper);

    await writeFile(setup.config, spec);
    await setup.toolkit.rules({
      version: 1,
      rules: [{ name: "a", when: { commands: "sh$" }, hooks: hooks() }],
    });
    await setup.run("create", "c1");
    expect(await setup.read()).toBe(spliced());
    expect(await readFile(join(setup.toolkit.paths.state, "plan.sh"), "utf8")).toContain("_ch_plan=dynamic");
  });

  test.each([
    ['{\n\t"a": 1\n}', 7],
    ['{"HOOKS":{}}', 1],
    [String.raw`{"a":1,"\u0068ooks":{}}`, 1],
    ["{}", 1],
    ["{1", 1],
    [' {"a":1}', 1],
    ["[]", 1],
  ])("only what surely has no hooks is changed without Node: %j", async (text, expected) => {
    await using setup = await probed();
    await setup.compiled(hooks());
    await writeFile(setup.config, text);
    const before = await stat(setup.config);
    await setup.withoutHelper();
    const { code } = await setup.run("create", "c1");
    const isChanged = code === 7;
    expect(code).toBe(expected);
    const after = await stat(setup.config);
    expect({ text: await setup.read(), ino: after.ino === before.ino }).toEqual(
      isChanged
        ? { text: text.replace("{", '{"hooks":{"createRuntime":[{"path":"/bin/true"}]},'), ino: false }
        : { text, ino: true },
    );
    expect(await readdir(setup.bundle)).toEqual(["config.json"]);
  });

  test("a sed that is not GNU's is not trusted with specifications", async () => {
    await using folder = await temporaryFolder("sed");
    const other = join(folder.path, "sed");
    await symlink(await debianFile("busybox-static", "bin/busybox"), other);
    expect(await isUsableSed(other)).toBe(false);
    expect(await isUsableSed("/nowhere/sed")).toBe(false);
    expect(await isUsableSed("/bin/sed")).toBe(true);
  });

  test.each(["static", "dynamic"])(
    "a second create changes nothing, not even the file's inode (%s)",
    async (kind) => {
      await using setup = await probed();
      const when = kind === "static" ? {} : { commands: "sh" };
      await setup.toolkit.rules({ version: 1, rules: [{ name: "a", when, hooks: hooks() }] });
      await chmod(setup.config, 0o640);
      await setup.run("create", "c1");
      const first = await stat(setup.config);
      expect(first.mode & 0o7777).toBe(0o640);
      await setup.run("create", "c1");
      const second = await stat(setup.config);
      expect([second.ino, second.mtimeMs]).toEqual([first.ino, first.mtimeMs]);
      expect(await setup.read()).toBe(spliced());
      expect(await readdir(setup.bundle)).toEqual(["config.json"]);
    },
  );

  test("hooks that are there already stay; the toolkit's marker says that all is done", async () => {
    await using setup = await probed();
    await setup.toolkit.rules(hooks());
    await writeFile(
      setup.config,
      '{"hooks":{"prestart":[{"path":"/p"}],"createRuntime":[{"path":"/q"}]},"a":1}',
    );
    await setup.run("create", "c1");
    expect(await setup.read()).toBe(
      '{"hooks":{"prestart":[{"path":"/p"}],"createRuntime":[{"path":"/q"},{"path":"/bin/true"}]},"a":1}',
    );
    const marked = '{"hooks":{"prestart":[{"path":"/usr/bin/container-hooks"}]},"a":1}';
    await writeFile(setup.config, marked);
    await setup.run("create", "c1");
    expect(await setup.read()).toBe(marked);
  });

  test("what is no spec is left to the runtime", async () => {
    await using setup = await probed();
    await setup.toolkit.rules({ version: 1, rules: [{ name: "a", when: { commands: "" }, hooks: hooks() }] });
    for (const text of ["", "{}", "[1]", '{"ociVersion":', "\uFEFF{}", "nonsense"]) {
      await writeFile(setup.config, text);
      expect(await setup.run("create", "c1")).toMatchObject({ code: 7, stderr: "" });
      expect(await setup.read()).toBe(text);
    }
    await rm(setup.config);
    expect(await setup.run("create", "c1")).toMatchObject({ code: 7, stderr: "" });
    await mkdir(setup.config);
    expect(await setup.run("create", "c1")).toMatchObject({ code: 7, stderr: "" });
    expect(await readdir(setup.bundle)).toEqual(["config.json"]);
  });

  test("a linked config.json is followed and stays a link", async () => {
    await using setup = await probed();
    await setup.toolkit.rules(hooks());
    await writeFile(join(setup.folder, "elsewhere.json"), spec);
    await rm(setup.config);
    await symlink("../elsewhere.json", setup.config);
    await setup.run("create", "c1");
    expect(await readFile(join(setup.folder, "elsewhere.json"), "utf8")).toBe(spliced());
  });

  test("a spec of 10 MB", async () => {
    await using setup = await probed();
    const env = Array.from({ length: 100_000 }, (_, index) => `VARIABLE_${index}=${"x".repeat(85)}`);
    const large = JSON.stringify({ ociVersion: "1.1.0", process: { args: ["sh"], env } });
    for (const when of [{}, { commands: "sh" }]) {
      await writeFile(setup.config, large);
      await setup.toolkit.rules({ version: 1, rules: [{ name: "a", when, hooks: hooks() }] });
      await setup.run("create", "c1");
      expect(
        (await setup.read()) === large.replace("{", '{"hooks":{"createRuntime":[{"path":"/bin/true"}]},'),
      ).toBe(true);
    }
  });
});

describe("rules", () => {
  test("changes of every kind take effect with the next container", async () => {
    await using setup = await probed();
    const next = async () => {
      await writeFile(setup.config, spec);
      const { code } = await setup.run("create", "c1");
      expect(code).toBe(7);
      return setup.read();
    };
    expect(await next()).toBe(spec);
    await setup.toolkit.rules(hooks("/one"));
    expect(await next()).toBe(spliced("/one"));
    expect(await next()).toBe(spliced("/one"));
    await setup.toolkit.rules(hooks("/two"));
    expect(await next()).toBe(spliced("/two"));
    await writeFile(`${setup.toolkit.paths.hooks}.new`, JSON.stringify(hooks("/three")));
    execFileSync("touch", ["-d", "2001-01-01", `${setup.toolkit.paths.hooks}.new`]);
    execFileSync("mv", [`${setup.toolkit.paths.hooks}.new`, setup.toolkit.paths.hooks]);
    expect(await next()).toBe(spliced("/three"));
    await rm(setup.toolkit.paths.hooks);
    expect(await next()).toBe(spec);
  });

  test("broken rules: the last good ones stay in force and the log tells", async () => {
    await using setup = await probed();
    await setup.toolkit.rules(hooks());
    await setup.run("create", "c1");
    await writeFile(setup.config, spec);
    await setup.toolkit.rules('{"createRuntime":[{"path":"relative"}]}');
    expect(await setup.run("create", "c1")).toMatchObject({ code: 7, stderr: "" });
    expect(await setup.read()).toBe(spliced());
    expect(await readFile(setup.toolkit.paths.log, "utf8")).toMatch(
      /level=error msg="rules are broken.*hooks\.json:1:20/,
    );
  });

  test.each([
    ["json", /^\{"level":"error","msg":"container-hooks: RULES_INVALID: .*","time":"[-0-9T:]+Z"\}$/],
    ["text", /^time="[-0-9T:]+Z" level=error msg="container-hooks: RULES_INVALID: .*"$/],
  ])(
    "broken rules without good ones: only create, run and restore are refused (%s)",
    async (format, shape) => {
      await using setup = await probed();
      await setup.toolkit.rules('{"createRuntime":[{"path":"relative"}]}');
      const log = join(setup.folder, "log");
      const flags = [
        ["--log", log, "--log-format", format],
        [`--log=${log}`, `--log-format=${format}`],
        [`-log=${log}`, "-log-format", format],
      ];
      for (const [index, command] of ["create", "run", "restore"].entries()) {
        const { code, stderr } = await setup.run(...(flags[index] ?? []), command, "c1");
        expect(code).toBe(1);
        expect(stderr).toMatch(
          /container-hooks: RULES_INVALID: .*hooks\.json:1:20: createRuntime\[0\]\.path: must be an absolute path\n$/,
        );
      }
      const lines = (await readFile(log, "utf8")).trimEnd().split("\n");
      expect(lines).toHaveLength(3);
      expect(lines[0]).toMatch(shape);
      for (const command of ["start", "state", "kill", "delete", "exec"])
        expect(await setup.run(command, "c1")).toMatchObject({ code: 7, stderr: "" });
      expect(await setup.read()).toBe(spec);
    },
  );

  test("rules that everybody may write to refuse containers and nothing else", async () => {
    await using setup = await probed();
    await setup.toolkit.rules(hooks());
    await chmod(setup.toolkit.paths.hooks, 0o666);
    expect(await setup.run("create", "c1")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("RULES_UNSAFE"),
    });
    for (const command of ["start", "state", "kill", "delete"])
      expect(await setup.run(command, "c1")).toMatchObject({ code: 7, stderr: "" });
    expect(await setup.read()).toBe(spec);
  });

  test("a broken config.toml refuses containers and nothing else", async () => {
    await using setup = await probed();
    await writeFile(setup.toolkit.paths.config, "= broken");
    expect(await setup.run("create", "c1")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("TOOLKIT_CONFIG_INVALID"),
    });
    expect(await setup.run("delete", "c1")).toMatchObject({ code: 7, stderr: "" });
  });

  test("without the helper: rules that may be ignored are, others refuse the container", async () => {
    await using setup = await probed();
    const rule = { name: "a", when: { commands: "sh" }, hooks: hooks() };
    await setup.toolkit.rules({ version: 1, rules: [rule] });
    await setup.toolkit.compile();
    await setup.withoutHelper();
    expect(await setup.run("create", "c1")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("helper that looks at the rules cannot run"),
    });
    await setup.toolkit.rules({ version: 1, rules: [{ ...rule, onFailure: "ignore" }] });
    await setup.toolkit.compile();
    expect(await setup.run("create", "c1")).toMatchObject({ code: 7 });
  });
});

describe("the low-level runtime", () => {
  test("itself is refused", async () => {
    await using setup = await probed();
    await expect(testToolkit([setup.toolkit.launcher])).rejects.toThrow(
      expect.objectContaining({ reason: "LOW_LEVEL_RUNTIME_RECURSION" }),
    );
    await expect(testToolkit(["/nowhere/runc"])).rejects.toThrow(
      expect.objectContaining({ reason: "LOW_LEVEL_RUNTIME_MISSING" }),
    );
  });

  test("when it has gone another one is taken, else an error says so", async () => {
    await using setup = await probed();
    const other = join(setup.folder, "other");
    await writeFile(other, "#!/bin/sh\nexit 9\n", { mode: 0o755 });
    await using toolkit = await testToolkit([setup.probe.path, other]);
    await rm(setup.probe.path);
    expect(await call(toolkit.launcher, ["kill", "c1"])).toMatchObject({ code: 9 });
    await rm(other);
    expect(await call(toolkit.launcher, ["kill", "c1"])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("is gone"),
    });
  });
});

const stable = (text: string) => text.replaceAll(/(pipe|socket):\[\d+\]/g, "$1").replaceAll(/^_=.*$/gm, "");

test("descriptors, signals, limits, mask and environment arrive as with the program itself", async () => {
  await using setup = await probed();
  await setup.toolkit.rules({ version: 1, rules: [{ name: "a", when: { commands: "sh" }, hooks: hooks() }] });
  const looks = [
    "#!/bin/sh",
    "ls -l /proc/self/fd | sed -n 's/.* \\([0-9]*\\) -> \\(.*\\)/\\1 \\2/p' | grep -v /proc/",
    "grep -E '^(Sig(Blk|Ign)|Cap|NoNewPrivs|Umask)' /proc/self/status",
    "cat /proc/self/limits",
    "env | sort",
    "exec setpriv --dump",
  ].join("\n");
  await writeFile(setup.probe.path, looks, { mode: 0o755 });
  const setupShell = `trap '' HUP USR1 PIPE; umask 027; ulimit -n 777; exec 3</dev/null 9>/dev/null 12</dev/zero; exec env --block-signal=USR2 setpriv --pdeathsig KILL -- "$@"`;
  const env = {
    PATH: "/usr/bin:/bin",
    PWD: setup.bundle,
    NODE_OPTIONS: "--require /nowhere/evil.js",
    X: "y",
    _ch_no: "1",
  };
  const see = async (program: string) =>
    call("/bin/bash", ["--norc", "-c", setupShell, "sh", program, "create", "c1"], {
      cwd: setup.bundle,
      env,
    });
  const direct = await see(setup.probe.path);
  const through = await see(setup.toolkit.launcher);
  expect(through.stderr).toBe("");
  expect(stable(through.stdout)).toBe(stable(direct.stdout));
  expect(direct.stdout).toContain("12 /dev/zero");
  // containerd's shim wants runc to die with it.
  expect(direct.stdout).toMatch(/^Parent death signal: kill$/im);
  expect(await setup.read()).toBe(spliced());

  // Children of a shell block nothing: what it becomes itself shows the mask.
  await writeFile(setup.probe.path, "#!/bin/sh\nexec grep SigBlk /proc/self/status\n", { mode: 0o755 });
  await writeFile(setup.config, spec);
  const blocked = await see(setup.probe.path);
  expect(blocked.stdout).toMatch(/^SigBlk:\t0*800$/m);
  expect(await see(setup.toolkit.launcher)).toEqual(blocked);
});

test.each([["exit 0"], ["exit 3"], ["exit 255"], ["kill -9 $$"], ["kill -TERM $$"]])(
  "the end of the runtime is seen: %s",
  async (end) => {
    await using setup = await probed();
    await writeFile(setup.probe.path, `#!/bin/sh\n${end}\n`, { mode: 0o755 });
    const direct = await call(setup.probe.path, []);
    expect(await setup.run("start", "c1")).toEqual(direct);
  },
);
