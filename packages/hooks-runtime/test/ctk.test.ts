import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { temporaryFolder } from "@aeon/testkit";
import { parse } from "smol-toml";
import { beforeAll, expect, test } from "vitest";
import { buildPrograms, bundle, call, runc } from "./toolkit.ts";

beforeAll(buildPrograms);

async function setUp() {
  const folder = await temporaryFolder("ctk");
  const bin = join(folder.path, "usr/bin");
  const ctk = (...args: string[]) =>
    call(process.execPath, [join(bundle, "container-hooks-ctk.js"), "--prefix", folder.path, ...args]);
  const etc = join(folder.path, "etc/container-hooks");
  await mkdir(etc, { recursive: true });
  return { folder: folder.path, bin, etc, ctk, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

test("config, install, rules, a change of runtimes, uninstall", async () => {
  await using setup = await setUp();
  const program = await runc();
  const config = () => readFile(join(setup.etc, "config.toml"), "utf8");
  expect(await setup.ctk("config")).toMatchObject({ code: 0, stdout: "", stderr: "" });
  expect(await config()).toContain('runtimes = [ "runc", "docker-runc" ]');
  await writeFile(join(setup.etc, "config.toml"), `# kept\n${await config()}`);
  const set = [
    "--set",
    `container-hooks-runtime.runtimes=/nowhere/runc,${program}`,
    "--set",
    "container-hooks-runtime.log-level=debug",
  ];
  expect(await setup.ctk("config", ...set)).toMatchObject({ code: 0 });
  expect(await config()).toMatch(/^# kept\n/);
  expect(await setup.ctk("config", "--set", "container-hooks-runtime.nope=1")).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("invalid config option container-hooks-runtime.nope"),
  });

  expect(await setup.ctk("install", "--toolkit-root", bundle)).toMatchObject({ code: 0 });
  expect((await readdir(setup.bin)).toSorted()).toEqual([
    "container-hooks",
    "container-hooks-ctk",
    "container-hooks-runtime",
  ]);
  const version = await call(join(setup.bin, "container-hooks-runtime"), ["--version"]);
  expect(version).toEqual(await call(program, ["--version"]));
  expect(await call(join(setup.bin, "container-hooks"), [])).toMatchObject({ code: 0, stdout: "" });

  await writeFile(
    join(setup.etc, "hooks.json"),
    '{"version":1,"rules":[{"name":"a","when":{"pods":"^web"},"hooks":{"poststop":[{"path":"/nowhere/x"}]}}]}',
  );
  const installed = (...args: string[]) =>
    call(join(setup.bin, "container-hooks-ctk"), ["--prefix", setup.folder, ...args]);
  expect(await installed("hooks", "validate")).toMatchObject({
    code: 0,
    stdout: "1 rules are valid\n",
    stderr: expect.stringContaining("/nowhere/x is no program"),
  });
  expect(await installed("hooks", "list")).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("a  order 0  on failure fail  for some containers  poststop 1"),
  });
  expect(await installed("hooks", "explain", "--pod", "web-1")).toMatchObject({
    stdout: 'yes     a: pod "web-1" against /^web/\n',
  });
  expect(await installed("hooks", "explain", "--pod", "db")).toMatchObject({
    stdout: 'no      a: pod "db" against /^web/\n',
  });
  expect(await installed("hooks", "explain")).toMatchObject({
    stdout: expect.stringMatching(/^unknown a: pod is not known here/),
  });
  expect(JSON.parse((await installed("hooks", "explain", "--pod", "web", "--json")).stdout)).toMatchObject({
    rules: [{ name: "a", applies: true }],
  });
  expect(await installed("hooks", "apply")).toMatchObject({
    code: 0,
    stderr: expect.stringContaining("1 rules are in force"),
  });
  await writeFile(join(setup.etc, "hooks.json"), '{"poststop":[{"path":"x"}]}');
  expect(await installed("hooks", "validate")).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/level=error msg="RULES_INVALID: .*hooks\.json:1:15: poststop\[0\]\.path/),
  });

  const other = join(setup.folder, "other");
  await writeFile(other, "#!/bin/sh\nexit 42\n", { mode: 0o755 });
  expect(await installed("config", "--set", `container-hooks-runtime.runtimes=${other}`)).toMatchObject({
    code: 0,
  });
  expect(await call(join(setup.bin, "container-hooks-runtime"), ["list"])).toMatchObject({ code: 42 });

  expect(await installed("runtime", "configure")).toMatchObject({ code: 0 });
  expect(await installed("uninstall")).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("TOOLKIT_IN_USE"),
  });
  expect(await installed("runtime", "unconfigure")).toMatchObject({ code: 0 });
  expect(await installed("uninstall")).toMatchObject({ code: 0 });
  expect(await readdir(setup.bin)).toEqual([]);
  expect((await readdir(setup.etc)).toSorted()).toEqual(["config.toml", "hooks.json", "originals"]);
});

test("a file that says little gains the keys that are set, and keeps what it says", async () => {
  await using setup = await setUp();
  const file = join(setup.etc, "config.toml");
  const few = '# ours\n[container-hooks-runtime]\nlog-level = "debug" # loud\n';
  await writeFile(file, few);
  const set = ["container-hooks-runtime.runtimes=/x/crun,runc", "container-hooks.path=/elsewhere/hooks.json"];
  expect(await setup.ctk("config", ...set.flatMap((each) => ["--set", each]))).toMatchObject({ code: 0 });
  const text = await readFile(file, "utf8");
  expect(text).toMatch(/^# ours\n[^]*log-level = "debug" # loud\n/);
  expect(parse(text)).toEqual({
    "container-hooks": { path: "/elsewhere/hooks.json" },
    "container-hooks-runtime": { "log-level": "debug", runtimes: ["/x/crun", "runc"] },
  });
});

test("twenty processes that configure one file at once leave all twenty handlers, and then the original", async () => {
  await using setup = await setUp();
  const file = join(setup.folder, "daemon.json");
  const text = '{ "data-root":"/d",\t"runtimes" : {} }';
  await writeFile(file, text);
  const names = Array.from({ length: 20 }, (_, index) => `handler-${index}`);
  const each = (command: string) =>
    Promise.all(names.map((name) => setup.ctk("runtime", command, "--config-file", file, "--name", name)));
  for (const result of await each("configure")) expect(result).toMatchObject({ code: 0 });
  const { runtimes } = JSON.parse(await readFile(file, "utf8")) as { runtimes: object };
  expect(Object.keys(runtimes).toSorted()).toEqual(names.toSorted());
  for (const result of await each("unconfigure")) expect(result).toMatchObject({ code: 0 });
  expect(await readFile(file, "utf8")).toBe(text);
  expect((await readdir(setup.folder)).toSorted()).toEqual(["daemon.json", "etc"]);
}, 60_000);

test("an installation from the wrong folder or without a low-level runtime changes nothing", async () => {
  await using setup = await setUp();
  await writeFile(
    join(setup.etc, "config.toml"),
    '[container-hooks-runtime]\nruntimes = ["/nowhere/runc"]\n',
  );
  expect(await setup.ctk("install", "--toolkit-root", setup.folder)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("TOOLKIT_INCOMPLETE"),
  });
  expect(await setup.ctk("install", "--toolkit-root", bundle)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("LOW_LEVEL_RUNTIME_MISSING"),
  });
  await expect(readdir(join(setup.folder, "usr"))).rejects.toThrow("ENOENT");
});

test.each([
  [["nope"], 3, "unknown command"],
  [["runtime", "nope"], 3, "unknown command"],
  [["runtime", "configure", "--runtime", "rkt"], 1, "--runtime rkt is none of docker, containerd, crio"],
  [["runtime", "configure", "--path", "relative"], 1, "no absolute path"],
  [["runtime", "configure", "--nope"], 1, "unknown option"],
  [["-dq", "runtime", "configure"], 0, ""],
  [["--help"], 0, ""],
])("%j ends with %i", async (args, code, text) => {
  await using setup = await setUp();
  const result = await setup.ctk(...args);
  expect(result.code).toBe(code);
  expect(result.stderr).toContain(text);
  expect(result.stderr === "").toBe(code === 0);
});
