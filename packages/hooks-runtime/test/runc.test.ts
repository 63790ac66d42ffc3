import { readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { stages } from "../src/rules/stage.ts";
import { setUpContainer } from "./container.ts";
import { buildPrograms, call, runc, testToolkit } from "./toolkit.ts";

beforeAll(buildPrograms);

test.each(["static", "dynamic"])(
  "all six stages run in order, once each, with the state on stdin (%s)",
  async (kind) => {
    await using setup = await setUpContainer();
    const hooks = Object.fromEntries(
      stages.map((stage) => [
        stage,
        [{ path: stage === "startContainer" ? "/note" : setup.note, args: ["note", stage] }],
      ]),
    );
    const when = kind === "static" ? {} : { commands: "^true$" };
    await setup.toolkit.rules({ version: 1, rules: [{ name: "all", when, hooks }] });
    await setup.toolkit.compile();
    await setup.process(["true"]);
    const create = ["--root", setup.root, "create", "--bundle", setup.bundle, setup.id];
    expect(await call(setup.toolkit.launcher, create, { leavesChildren: true })).toMatchObject({
      code: 0,
      stderr: "",
    });
    expect(await setup.run("start", setup.id)).toMatchObject({ code: 0, stderr: "" });
    await expect
      .poll(async () => (await setup.run("state", setup.id)).stdout)
      .toContain('"status": "stopped"');
    expect(await setup.run("delete", setup.id)).toMatchObject({ code: 0, stderr: "" });
    const lines = (await readFile(setup.notes, "utf8")).trimEnd().split("\n");
    expect(lines.map((line) => line.split(" ")[0])).toEqual(
      stages.filter((stage) => stage !== "startContainer"),
    );
    const inside = (await readFile(join(setup.rootfs, "notes"), "utf8")).trimEnd().split("\n");
    expect(inside).toHaveLength(1);
    for (const line of [...lines, ...inside]) {
      const state = JSON.parse(line.slice(line.indexOf(" "))) as unknown;
      expect(state).toMatchObject({ id: setup.id, bundle: setup.bundle, ociVersion: expect.any(String) });
    }
  },
);

test("a failing hook fails the container, one to be ignored does not", async () => {
  await using setup = await setUpContainer();
  const hooks = { createRuntime: [{ path: "/bin/false" }] };
  await setup.process(["sh", "-c", "echo $SEEN; exit 5"]);
  await setup.toolkit.rules({ version: 1, rules: [{ name: "strict", hooks }] });
  const failed = await setup.run("run", "--bundle", setup.bundle, setup.id);
  expect(failed.code).not.toBe(5);
  expect(failed.stderr).toContain("error running hook");
  await setup.process(["sh", "-c", "echo $SEEN; exit 5"]);
  const slow = { path: "/bin/sleep", args: ["sleep", "30"], timeout: 1 };
  await setup.toolkit.rules({
    version: 1,
    rules: [
      {
        name: "lax",
        onFailure: "ignore",
        hooks: { ...hooks, createContainer: [slow] },
        env: ["SEEN=by rule"],
      },
    ],
  });
  const start = Date.now();
  expect(await setup.run("run", "--bundle", setup.bundle, setup.id)).toMatchObject({
    code: 5,
    stdout: "by rule\n",
  });
  expect(Date.now() - start).toBeLessThan(20_000);
});

test("version and features are the runtime's own to the byte", async () => {
  await using setup = await setUpContainer();
  await setup.toolkit.rules("broken");
  const direct = await runc();
  for (const args of [["--version"], ["features"], ["-v"], ["help"], ["create", "--help"]]) {
    const own = await call(direct, args);
    expect(await call(setup.toolkit.launcher, args)).toEqual(own);
  }
});

const withoutTime = (text: string) => text.replaceAll(/time="[^"]*"/g, "");

test("errors of the runtime are its own", async () => {
  await using setup = await setUpContainer();
  await setup.toolkit.rules({});
  for (const args of [
    ["create"],
    ["create", "--bundle", "/nowhere", "x"],
    ["run", "--no-such-flag", "x"],
    ["nonsense"],
  ]) {
    const own = await call(await runc(), args, { cwd: setup.rootfs });
    const through = await call(setup.toolkit.launcher, args, { cwd: setup.rootfs });
    expect({ ...through, stderr: withoutTime(through.stderr) }).toEqual({
      ...own,
      stderr: withoutTime(own.stderr),
    });
  }
});

test("no descriptor of the host reaches the container", async () => {
  await using setup = await setUpContainer();
  await setup.toolkit.rules({ version: 1, rules: [{ name: "a", when: { commands: "sh" }, env: ["A=1"] }] });
  await setup.process(["sh", "-c", "ls -l /proc/self/fd"]);
  const keep = (program: string) =>
    call("/bin/sh", [
      "-c",
      'exec 3</dev/null 4</dev/zero; exec "$@"',
      "sh",
      program,
      "run",
      "--preserve-fds",
      "2",
      "--bundle",
      setup.bundle,
      setup.id,
    ]);
  const { stdout, code } = await keep(setup.toolkit.launcher);
  expect(code).toBe(0);
  const seen = [...stdout.matchAll(/ (\d+) -> (.*)/g)].map(
    ([, fd, target]) => `${fd} ${target?.replace(/:\[\d+\]/, "")}`,
  );
  const direct = [...(await keep(await runc())).stdout.matchAll(/ (\d+) -> (.*)/g)];
  expect(seen.filter((line) => /^[34] /.test(line))).toEqual(["3 /dev/null", "4 /dev/zero"]);
  expect(seen).toHaveLength(direct.length);
});

test("twelve descriptors and LISTEN_FDS reach the container as from runc itself", async () => {
  await using setup = await setUpContainer();
  await setup.toolkit.rules({ version: 1, rules: [{ name: "a", when: { commands: "sh" }, env: ["A=1"] }] });
  const show =
    'for f in /proc/self/fd/*; do echo "$f $(readlink $f)"; done; echo $LISTEN_FDS; env | grep -v ^A=';
  await setup.process(["sh", "-c", show]);
  await symlink("busybox", join(setup.rootfs, "bin/readlink"));
  await symlink("busybox", join(setup.rootfs, "bin/env"));
  await symlink("busybox", join(setup.rootfs, "bin/grep"));
  const spec = await readFile(join(setup.bundle, "config.json"), "utf8");
  const fds = Array.from(
    { length: 12 },
    (_, index) => `${index + 3}<${index % 2 ? "/dev/null" : "/dev/zero"}`,
  );
  const see = async (program: string, preserved: number, listening: number) => {
    await writeFile(join(setup.bundle, "config.json"), spec);
    // The shell that opens them is the process that LISTEN_PID names.
    const shell = `exec ${fds.join(" ")}; export LISTEN_FDS=${listening} LISTEN_PID=$$; exec "$@"`;
    const run = ["run", "--preserve-fds", String(preserved), "--bundle", setup.bundle, setup.id];
    const { code, stdout, stderr } = await call("/bin/bash", ["-c", shell, "bash", program, ...run]);
    return { code, stderr, stdout: stdout.replaceAll(/:\[\d+\]|\/proc\/\d+/g, "") };
  };
  for (const [preserved, listening] of [
    [0, 0],
    [2, 0],
    [12, 0],
    [0, 2],
    [3, 3],
  ] as const) {
    const direct = await see(await runc(), preserved, listening);
    expect(direct.code).toBe(0);
    expect(await see(setup.toolkit.launcher, preserved, listening)).toEqual(direct);
    expect(direct.stdout.match(/\/dev\/(?:null|zero)$/gm) ?? []).toHaveLength(preserved + listening);
  }
});

test("pipes of the caller stay blocking, with and without a look at the container", async () => {
  await using setup = await setUpContainer();
  const probe = join(setup.root, "../probe");
  const seen = join(setup.root, "../flags");
  const look = `for n in 0 1 2; do grep flags /proc/self/fdinfo/$n; done >'${seen}'`;
  await writeFile(probe, `#!/bin/sh\n${look}\n`, { mode: 0o755 });
  await using toolkit = await testToolkit([probe]);
  await setup.process(["sh"]);
  // cat keeps real pipes on all three.
  const piped = '{ sleep 0.05; } | { "$@" 2>&1 >&3 | cat >&2; } 3>&1 | cat';
  const see = async (program: string): Promise<string> => {
    const words = ["-c", piped, "sh", program, "create", "--bundle", setup.bundle, setup.id];
    expect(await call("/bin/sh", words)).toMatchObject({ code: 0, stdout: "" });
    return readFile(seen, "utf8");
  };
  const direct = await see(probe);
  expect(direct).not.toContain("4");
  const hooks = { createRuntime: [{ path: "/bin/true" }] };
  for (const when of [{}, { commands: "sh" }]) {
    await toolkit.rules({ version: 1, rules: [{ name: "a", when, hooks }] });
    expect(await see(toolkit.launcher)).toBe(direct);
  }
  await toolkit.rules("broken");
  await call("/bin/sh", ["-c", piped, "sh", toolkit.launcher, "create", "--bundle", setup.bundle, setup.id]);
  expect(await see(toolkit.launcher)).toBe(direct);
});
