import fc from "fast-check";
import { expect, test } from "vitest";
import type { Injection } from "../rules/injection.ts";
import type { Hook } from "../rules/rule.ts";
import { readSpec } from "./spec-text.ts";
import { spliceSpec } from "./splice.ts";

const injection = (part: Partial<Injection>): Injection => ({
  rules: ["a"],
  hooks: {},
  env: [],
  mounts: [],
  annotations: {},
  ...part,
});
const splice = (text: string | Buffer, part: Partial<Injection>): string | undefined => {
  const spec = readSpec(Buffer.from(text));
  return spec && spliceSpec(spec, injection(part))?.toString();
};
const last = (...paths: string[]) => ({ first: [], last: paths.map((path): Hook => ({ path })) });

test.each([
  ['{"a":1}', '{"hooks":{"poststop":[{"path":"/x"}]},"a":1}'],
  ['{ "a":1, "hooks": null }', '{ "a":1, "hooks": {"poststop":[{"path":"/x"}]} }'],
  ['{"hooks":{}}', '{"hooks":{"poststop":[{"path":"/x"}]}}'],
  ['{"hooks":{"prestart":[]}}', '{"hooks":{"poststop":[{"path":"/x"}],"prestart":[]}}'],
  ['{"hooks":{"poststop":null}}', '{"hooks":{"poststop":[{"path":"/x"}]}}'],
  ['{"hooks":{"poststop":[]}}', '{"hooks":{"poststop":[{"path":"/x"}]}}'],
  ['{"hooks":{"poststop":[ {"path":"/y"} ]}}', '{"hooks":{"poststop":[ {"path":"/y"},{"path":"/x"} ]}}'],
  ['{"Hooks":{"PostStop":[]}}', '{"Hooks":{"PostStop":[{"path":"/x"}]}}'],
  ['{"hooks":{"poststop":[{"timeout":null,"args":[],"path":"/x"}]}}', undefined],
])("a hook for %j gives %j", (text, expected) => {
  expect(splice(text, { hooks: { poststop: last("/x") } })).toBe(expected);
});

test("hooks before and after those that are there", () => {
  const hooks = { poststop: { first: [{ path: "/a" }, { path: "/b" }], last: [{ path: "/c" }] } };
  expect(splice('{"hooks":{"poststop":[{"path":"/p"}]}}', { hooks })).toBe(
    '{"hooks":{"poststop":[{"path":"/a"},{"path":"/b"},{"path":"/p"},{"path":"/c"}]}}',
  );
});

test.each([
  ['{"process":{}}', '{"process":{"env":["A=1","B=2"]}}'],
  ['{"process":{"env":[]}}', '{"process":{"env":["A=1","B=2"]}}'],
  ['{"process":{"env":["B=3","C=4"]}}', '{"process":{"env":["B=2","C=4","A=1"]}}'],
  ['{"process":{"env":["B=2","A=1"]}}', undefined],
  ['{"x":1}', undefined],
])("environment for %j gives %j", (text, expected) => {
  expect(splice(text, { env: ["A=1", "B=2"] })).toBe(expected);
});

test.each([
  ['{"x":1}', '{"annotations":{"k":"v","l":"w"},"x":1}'],
  ['{"annotations":{}}', '{"annotations":{"k":"v","l":"w"}}'],
  ['{"annotations":{"k":"other"}}', '{"annotations":{"l":"w","k":"v"}}'],
  ['{"annotations":{"l":"w","k":"v"}}', undefined],
])("annotations for %j give %j", (text, expected) => {
  const result = splice(text, { annotations: { k: "v", l: "w" } });
  expect(result).toBe(expected);
});

test("mounts are added once", () => {
  const mounts = [{ destination: "/d", type: "bind", source: "/s", options: ["ro"] }];
  const once = splice('{"mounts":[{"destination":"/e"}]}', { mounts }) ?? "";
  expect(once).toBe(`{"mounts":[{"destination":"/e"},${JSON.stringify(mounts[0])}]}`);
  expect(splice(once, { mounts })).toBeUndefined();
});

test.each(['{"hooks":[]}', '{"hooks":{"poststop":{}}}', '{"hooks":{},"Hooks":{}}', '{"hooks":"x"}'])(
  "%j is refused",
  (text) => {
    expect(() => splice(text, { hooks: { poststop: last("/x") } })).toThrow(
      expect.objectContaining({ reason: "SPEC_UNUSABLE" }),
    );
  },
);

test.each(["", "{}", "[]", "null", '{"a":1', "\uFEFF{}", "nonsense"])("%j is no spec", (text) => {
  expect(readSpec(Buffer.from(text))).toBeUndefined();
});

test("numbers, spaces and bytes that are no UTF-8 stay", () => {
  const odd = Buffer.concat([
    Buffer.from('{ "n" : 18446744073709551615,\t"f":1.0e2,"neg":-9223372036854775808,"s":"'),
    Buffer.from([0xff, 0xc3]),
    Buffer.from('\\u00e9é"}'),
  ]);
  const spec = readSpec(odd);
  const result = spec && spliceSpec(spec, injection({ hooks: { poststop: last("/é") } }));
  expect(result?.subarray(0, 1)).toEqual(odd.subarray(0, 1));
  const added = Buffer.from('"hooks":{"poststop":[{"path":"/é"}]},');
  expect(result).toEqual(Buffer.concat([odd.subarray(0, 1), added, odd.subarray(1)]));
});

test("whatever the spec: the result says the same but for the hooks, and a second time changes nothing", () => {
  const spec = fc.dictionary(fc.string(), fc.jsonValue(), { minKeys: 1 });
  const paths = fc.uniqueArray(
    fc.string().map((name) => `/${name}`),
    { minLength: 1, maxLength: 3 },
  );
  fc.assert(
    fc.property(spec, paths, paths, (value, present, added) => {
      fc.pre(!Object.keys(value).some((key) => key.toLowerCase() === "hooks"));
      fc.pre(![...present, ...added].some((path) => path.endsWith("/container-hooks")));
      const before = { ...value, hooks: { prestart: present.map((path) => ({ path })) } };
      const hooks = { prestart: last(...added), poststop: last(...added) };
      const once = splice(JSON.stringify(before), { hooks }) ?? "";
      const fresh = added.filter((path) => !present.includes(path));
      expect(JSON.parse(once)).toEqual(
        JSON.parse(
          JSON.stringify({
            ...value,
            hooks: {
              prestart: [...present, ...fresh].map((path) => ({ path })),
              poststop: added.map((path) => ({ path })),
            },
          }),
        ),
      );
      expect(splice(once, { hooks })).toBeUndefined();
    }),
  );
});
