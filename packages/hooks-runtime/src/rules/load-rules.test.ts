import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { isAeonError } from "@aeon/core";
import { matcherFor } from "./injection.ts";
import { loadRules } from "./load-rules.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "aeon-rules-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const sources = () => ({
  file: join(folder, "hooks.json"),
  hooksD: [join(folder, "usr.d"), join(folder, "etc.d")],
});
const write = (name: string, content: unknown) => {
  mkdirSync(join(folder, name, ".."), { recursive: true });
  const text = typeof content === "string" ? content : JSON.stringify(content, undefined, 2);
  writeFileSync(join(folder, name), text, { mode: 0o644 });
};
const load = () => loadRules(sources());
const faultsOf = async (content: unknown, name = "hooks.json"): Promise<string> => {
  write(name, content);
  const error: unknown = await load().then(
    () => new Error("the rules were accepted"),
    (thrown: unknown) => thrown,
  );
  return error instanceof Error ? error.message.replaceAll(`${folder}/`, "") : "";
};

test("the toolkit's format: every container gets the hooks, without the marker", async () => {
  write("hooks.json", {
    prestart: [{ path: "/usr/bin/container-hooks" }, { path: "/etc/container-hooks/test.sh" }],
    poststop: [{ path: "/bin/a", args: ["a", "b"], env: ["A=1"], timeout: 3 }],
  });
  const plan = await load();
  expect(plan.rules).toHaveLength(1);
  expect(plan.rules[0]).toMatchObject({ name: "hooks.json", when: { kind: "always" }, onFailure: "fail" });
  const matcher = await matcherFor(plan);
  expect(matcher.injectionFor({}).hooks).toEqual({
    prestart: { first: [], last: [{ path: "/etc/container-hooks/test.sh" }] },
    poststop: { first: [], last: [{ path: "/bin/a", args: ["a", "b"], env: ["A=1"], timeout: 3 }] },
  });
});

test("no files mean no rules", async () => {
  expect((await load()).rules).toEqual([]);
});

test("a plan cannot be changed", async () => {
  write("hooks.json", { prestart: [{ path: "/a" }] });
  const plan = await load();
  expect(() => Object.assign(plan.rules[0]?.hooks ?? {}, { poststop: [] })).toThrow(TypeError);
  expect(() => Object.assign(plan.rules[0]?.hooks.prestart?.[0] ?? {}, { path: "/b" })).toThrow(TypeError);
});

test.each([
  [
    '{\n  "prestart": [\n    { "path": "relative" }\n  ]\n}',
    "hooks.json:3:7: prestart[0].path: must be an absolute path",
  ],
  [
    '{"prestart":[{"path":"/a","timeout":0}]}',
    "hooks.json:1:27: prestart[0].timeout: must be at least 1 second",
  ],
  [
    '{"prestart":[{"path":"/a","timeout":-1}]}',
    "hooks.json:1:27: prestart[0].timeout: must be at least 1 second",
  ],
  [
    '{"prestart":[{"path":"/a","timeout":"5"}]}',
    "hooks.json:1:27: prestart[0].timeout: must be a whole number of seconds",
  ],
  [
    '{"prestart":[{"path":"/a","timeout":1.5}]}',
    "hooks.json:1:27: prestart[0].timeout: must be a whole number of seconds",
  ],
  ['{"preStart":[]}', "hooks.json:1:2: preStart: unknown key"],
  ['{"prestart":[{"args":["a"]}]}', "hooks.json:1:14: prestart[0].path: missing"],
  ['{"prestart":[{"path":"/a","args":[1]}]}', "hooks.json:1:35: prestart[0].args[0]: must be a text"],
  ['{"prestart":[{"path":"/a","env":["A"]}]}', "hooks.json:1:34: prestart[0].env[0]: must be NAME=value"],
  ['{"prestart":null}', "hooks.json:1:2: prestart: must be a list of hooks"],
  ['{"hooks":{"prestart":[]}}', 'hooks.json:1:2: put the stages at the top level, not below "hooks"'],
  ["[]", "hooks.json:1:1: must be an object"],
  ['{"version":1,"rules":[{"name":"a","when":[]}]}', "hooks.json:1:35: rules[0].when: must be an object"],
  [
    '{"version":1,"rules":[{"name":"a","annotations":["x"]}]}',
    "hooks.json:1:35: rules[0].annotations: must be an object of texts",
  ],
  ["null", "hooks.json:1:1: must be an object"],
  ["", "hooks.json:1:1: the file is empty; an object such as {} is wanted"],
  ["\uFEFF{}", "hooks.json:1:1: the file starts with a byte order mark, which JSON has not"],
  ["{}\n{}", "hooks.json:2:1: something follows the end of the JSON value"],
  ["{} // no", "hooks.json:1:4: JSON has no comments"],
  [
    '{"prestart":[],}',
    "hooks.json:1:16: is not JSON: a key in quotes is wanted here (is there a comma too many?)",
  ],
  ['{"prestart":[],\n"prestart":[]}', 'hooks.json:2:1: key "prestart" stands here twice'],
  ['{"version":2,"rules":[]}', "hooks.json:1:2: version: must be 1"],
  ['{"rules":[]}', "hooks.json:1:1: version: missing"],
  [
    '{"version":1,"rules":[{"name":"a","when":{"pods":"("}}]}',
    "hooks.json:1:35: /(/ is no RE2 expression: error parsing regexp: missing closing ): `(`",
  ],
  [
    '{"version":1,"rules":[{"name":"a","when":{"podz":"x"}}]}',
    "hooks.json:1:43: rules[0].when.podz: unknown key",
  ],
  [
    '{"version":1,"rules":[{"name":"a"},\n{"name":"a"}]}',
    "hooks.json:2:1: name a is taken by the rule at hooks.json:1",
  ],
  [
    '{"version":1,"rules":[{"name":"a","onFailure":"ignore","hooks":{"startContainer":[{"path":"/a"}]}}]}',
    'hooks.json:1:65: startContainer hooks run inside the container, where their failure cannot be ignored; remove them or onFailure "ignore"',
  ],
])("%j is refused with its place", async (text, message) => {
  expect(await faultsOf(text)).toBe(message);
});

test("every fault of every file is listed", async () => {
  write("etc.d/a.json", { version: "1.0.0", hook: { path: "a" }, when: {}, stages: ["prestrat"] });
  const faults = (await faultsOf('{"prestart":[{"path":"a"},{"path":"b"}]}')).split("\n");
  expect(faults).toHaveLength(4);
  expect(faults[3]).toBe(
    'etc.d/a.json:8:5: stages[0]: "prestrat" is not a stage (prestart, createRuntime, createContainer, startContainer, poststart, poststop)',
  );
});

test.each([0o666, 0o620])("a file with mode %o is refused: others could run what they like", async (mode) => {
  write("hooks.json", {});
  chmodSync(join(folder, "hooks.json"), mode);
  await expect(load()).rejects.toThrow(expect.objectContaining({ reason: "RULES_UNSAFE" }));
});

test("folders and large files are refused", async () => {
  mkdirSync(join(folder, "hooks.json"));
  await expect(load()).rejects.toThrow(expect.objectContaining({ reason: "RULES_UNREADABLE" }));
  rmSync(join(folder, "hooks.json"), { recursive: true });
  write("hooks.json", " ".repeat(1_048_577));
  await expect(load()).rejects.toThrow(expect.objectContaining({ reason: "RULES_UNREADABLE" }));
});

const orderedRule = (name: string, order?: number) => ({ name, ...(order !== undefined && { order }) });

test("rules come by order, then as written; hooks.d by lower-cased name", async () => {
  write("hooks.json", {
    version: 1,
    rules: [orderedRule("late", 5), orderedRule("one"), orderedRule("two"), orderedRule("early", -1)],
  });
  const file = { version: "1.0.0", hook: { path: "/a" }, when: { always: true }, stages: ["poststop"] };
  for (const name of ["b.json", "A.json", "c.json"]) write(`etc.d/${name}`, file);
  write("etc.d/ignored.txt", "not read");
  expect((await load()).rules.map(({ name }) => name)).toEqual([
    "early",
    "one",
    "two",
    "A.json",
    "b.json",
    "c.json",
    "late",
  ]);
});

const unconditional = (path: string) => ({
  version: "1.0.0",
  hook: { path },
  when: { always: true },
  stages: ["poststop"],
});

test("a later folder of hooks.d masks a file of an earlier one", async () => {
  write("usr.d/a.json", unconditional("/usr/a"));
  write("usr.d/b.json", unconditional("/usr/b"));
  write("etc.d/a.json", unconditional("/etc/a"));
  expect((await load()).rules.map(({ hooks }) => hooks.poststop?.[0]?.path)).toEqual(["/etc/a", "/usr/b"]);
});

const appliesFromHooksD = async (
  file: unknown,
  facts: Parameters<Awaited<ReturnType<typeof matcherFor>>["explain"]>[0],
) => {
  write("etc.d/a.json", file);
  const [explanation] = (await matcherFor(await load())).explain(facts);
  return explanation?.applies;
};
const newForm = (when: object) => ({ version: "1.0.0", hook: { path: "/a" }, when, stages: ["prestart"] });

test.each([
  [{}, {}, false],
  [{ always: true }, {}, true],
  [{ always: false }, {}, false],
  [{ hasBindMounts: true }, { hasBindMounts: true }, true],
  [{ hasBindMounts: true }, { hasBindMounts: false }, false],
  [{ hasBindMounts: false }, { hasBindMounts: false }, false],
  [{ annotations: { "^a$": "^b$" } }, { annotations: { x: "b", a: "b" } }, true],
  [{ annotations: { "^a$": "^b$" } }, { annotations: { a: "bc" } }, false],
  [{ annotations: { a: "b" } }, { annotations: { xax: "xbx" } }, true],
  [{ annotations: { a: "b", c: "d" } }, { annotations: { a: "b" } }, false],
  [{ annotations: { a: "b", c: "d" } }, { annotations: { a: "b", c: "d" } }, true],
  [{ commands: ["/sh$", "^/bin/(a|b)$"] }, { command: "/bin/b" }, true],
  [{ commands: ["/sh$"] }, { command: "/bin/shell" }, false],
  [{ always: true, commands: ["/sh$"] }, { command: "/bin/shell" }, false],
  [{ hasBindMounts: true, commands: ["/sh$"] }, { hasBindMounts: false, command: "/bin/sh" }, false],
  [{ commands: ["(?i)BASH"] }, { command: "/bin/bash" }, true],
])("hooks.d 1.0.0 %j with %j applies: %s", async (when, facts, applies) => {
  expect(await appliesFromHooksD(newForm(when), facts)).toBe(applies);
});

test("hooks.d runs prestart as createRuntime, once", async () => {
  write("etc.d/a.json", { ...newForm({ always: true }), stages: ["prestart", "createRuntime", "poststop"] });
  expect(Object.keys((await load()).rules[0]?.hooks ?? {})).toEqual(["createRuntime", "poststop"]);
});

const oldForm = (when: object) => ({ hook: "/a", arguments: ["b"], stage: "poststop", ...when });

test.each([
  [{}, {}, false],
  [{ cmd: "/sh$" }, { command: "/bin/sh", annotations: {} }, true],
  [{ cmds: ["/sh$"], annotation: "^yes$" }, { command: "/x", annotations: { any: "yes" } }, true],
  [{ annotations: ["^yes$"] }, { annotations: { any: "no" } }, false],
  [{ hasbindmounts: true, cmd: "/sh$" }, { hasBindMounts: true, command: "/x" }, true],
])("hooks.d 0.1.0 %j with %j applies: %s", async (when, facts, applies) => {
  expect(await appliesFromHooksD(oldForm(when), facts)).toBe(applies);
});

test("hooks.d 0.1.0 gives its arguments after the program's name", async () => {
  write("etc.d/a.json", oldForm({ cmd: "x" }));
  expect((await load()).rules[0]?.hooks.poststop).toEqual([{ path: "/a", args: ["/a", "b"] }]);
});

test("hostile text is refused or accepted, never anything else", async () => {
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.string({ unit: "binary" }), fc.json()), async (text) => {
      write("hooks.json", text);
      const outcome = await load().then(
        () => "accepted",
        (error: unknown) => (isAeonError(error, "RULES_INVALID") ? "refused" : String(error)),
      );
      expect(["accepted", "refused"]).toContain(outcome);
    }),
    { numRuns: 60 },
  );
});
