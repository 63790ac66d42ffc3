import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { debianFile, temporaryFolder, type TemporaryFolder } from "@aeon/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bundleToolkit, installToolkit } from "./servers/hooks-toolkit.ts";
import { podmanIn } from "./servers/podman.ts";

const stages = ["prestart", "createRuntime", "createContainer", "poststart", "poststop"];
let folder: TemporaryFolder;
let podman: Awaited<ReturnType<typeof podmanIn>>;
let runc: string;
let note: string;

beforeAll(async () => {
  await bundleToolkit();
  folder = await temporaryFolder("podman");
  podman = await podmanIn(folder.path);
  runc = await debianFile("runc", "usr/sbin/runc");
  note = join(folder.path, "note");
  await writeFile(note, `#!/bin/sh\necho "$1 $(cat)" >>'${folder.path}/notes'\n`, { mode: 0o755 });
});
afterAll(() => folder?.[Symbol.asyncDispose]());

/** What hooks noted since the last call: name and state. */
async function noted(): Promise<readonly (readonly [name: string, state: unknown])[]> {
  const file = join(folder.path, "notes");
  const text = await readFile(file, "utf8").catch(() => "");
  await rm(file, { force: true });
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => [line.split(" ")[0] ?? "", JSON.parse(line.slice(line.indexOf(" "))) as unknown]);
}

test("with the launcher as podman's runtime hooks run once each, in order, and a refusal is shown", async () => {
  const hooks = Object.fromEntries(stages.map((stage) => [stage, [{ path: note, args: ["note", stage] }]]));
  const prefix = join(folder.path, "toolkit");
  const runtime = await installToolkit(prefix, runc, {
    version: 1,
    rules: [
      { name: "all", hooks },
      { name: "shell", when: { commands: "^sh$" }, env: ["SEEN=5"] },
      { name: "other", when: { commands: "^other$" }, env: ["SEEN=6"] },
    ],
  });
  const run = { runtime, command: ["sh", "-c", "echo $SEEN; exit 4"] };
  expect(await podman(run)).toEqual({ code: 4, stdout: "5\n", stderr: "" });
  const lines = await noted();
  expect(lines.map(([stage]) => stage)).toEqual(stages);
  for (const [, state] of lines) expect(state).toMatchObject({ id: expect.stringMatching(/^[0-9a-f]{64}$/) });

  await writeFile(join(prefix, "etc/container-hooks/hooks.json"), '{"nonsense":1}');
  await writeFile(join(prefix, "var/lib/container-hooks/plan.json"), "");
  const refused = await podman(run);
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toMatch(/container-hooks: RULES_INVALID: .*hooks\.json:1:2: nonsense: unknown key/);
}, 300_000);

const write = (path: string, file: object) => writeFile(path, JSON.stringify(file), { mode: 0o644 });

const newForm = (name: string, when: object, stage = "prestart") => ({
  version: "1.0.0",
  hook: { path: note, args: ["note", name] },
  when,
  stages: [stage],
});
const oldForm = (name: string, when: object) => ({
  hook: note,
  arguments: [name],
  stages: ["prestart"],
  ...when,
});
const conditions: Readonly<Record<string, object>> = {
  empty: {},
  always: { always: true },
  never: { always: false },
  mounts: { hasBindMounts: true },
  "no-mounts": { hasBindMounts: false },
  annotation: { annotations: { "^a$": "^b$" } },
  loose: { annotations: { a: "b" } },
  both: { annotations: { "^a$": "b", "^c$": "d" } },
  shell: { commands: ["^/x$", "sh$"] },
  "always-not-shell": { always: true, commands: ["^nope$"] },
  "shell-and-annotation": { commands: ["^sh$"], annotations: { "^a$": "" } },
  "mounts-and-shell": { hasBindMounts: true, commands: ["^sh$"] },
  insensitive: { commands: ["(?i)^SH$"] },
};
const oldConditions: Readonly<Record<string, object>> = {
  "old-cmd": { cmds: ["^sh$"] },
  "old-value": { annotations: ["^b$"] },
  "old-either": { cmds: ["^nope$"], annotations: ["^d$"] },
  "old-mounts": { hasbindmounts: true, cmds: ["^nope$"] },
};

test("files of hooks.d mean to the launcher what they mean to podman itself", async () => {
  const [usr, etc] = [join(folder.path, "usr.d"), join(folder.path, "etc.d")];
  for (const path of [usr, etc]) await mkdir(path);
  for (const [name, when] of Object.entries(conditions))
    await write(join(usr, `${name}.json`), newForm(name, when));
  for (const [name, when] of Object.entries(oldConditions))
    await write(join(usr, `${name}.json`), oldForm(name, when));
  await write(join(usr, "Masked.json"), newForm("masked", { always: true }));
  await write(join(etc, "Masked.json"), newForm("masking", { always: true }));
  await write(join(etc, "B.json"), newForm("upper", { always: true }, "poststop"));
  await write(join(etc, "a.json"), newForm("lower", { always: true }, "poststop"));
  await writeFile(join(etc, "ignored.txt"), "no JSON");
  const prefix = join(folder.path, "hooks-d");
  const runtime = await installToolkit(prefix, runc, {});
  const config = `[container-hooks]\nhooks-d = [${JSON.stringify(usr)}, ${JSON.stringify(etc)}]\n`;
  const settings = join(prefix, "etc/container-hooks/config.toml");
  await writeFile(settings, `${config}${await readFile(settings, "utf8")}`);
  await mkdir(join(folder.path, "data"));
  const containers = [
    { command: ["sh", "-c", "true"] },
    { command: ["true"] },
    { command: ["sh", "-c", "true"], flags: ["--annotation", "a=b"] },
    { command: ["true"], flags: ["--annotation", "a=b", "--annotation", "c=d"] },
    { command: ["true"], flags: ["--annotation", "xax=xbx"] },
    { command: ["sh", "-c", "true"], flags: ["--volume", `${join(folder.path, "data")}:/data`] },
    { command: ["true"], flags: ["--volume", `${join(folder.path, "data")}:/data`] },
  ];
  const all = new Set<string>();
  for (const container of containers) {
    const global = [usr, etc].flatMap((path) => ["--hooks-dir", path]);
    expect(await podman({ ...container, runtime: runc, global })).toMatchObject({ code: 0 });
    const theirs = (await noted()).map(([name]) => name);
    const none = ["--hooks-dir", join(folder.path, "data")];
    expect(await podman({ ...container, runtime, global: none })).toMatchObject({ code: 0 });
    const ours = (await noted()).map(([name]) => name);
    expect({ container, hooks: ours }).toEqual({ container, hooks: theirs });
    for (const name of ours) all.add(name);
  }
  // Each condition was met at least once but those that never are.
  const never = new Set(["empty", "never", "no-mounts", "always-not-shell"]);
  const named = [...Object.keys(conditions), ...Object.keys(oldConditions), "masking", "upper", "lower"];
  expect([...all].toSorted()).toEqual(named.filter((name) => !never.has(name)).toSorted());
}, 300_000);
