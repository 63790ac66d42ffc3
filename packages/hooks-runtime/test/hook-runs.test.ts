import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { setUpContainer } from "./container.ts";
import { buildPrograms, bundle, call } from "./toolkit.ts";

beforeAll(buildPrograms);

const shell = (script: string) => ({ path: "/bin/sh", args: ["sh", "-c", script] });

test("`hooks log` and `hooks status` show how the hooks of real containers ran", async () => {
  await using setup = await setUpContainer();
  const ctk = async (...words: string[]): Promise<string> => {
    const program = join(bundle, "container-hooks-ctk.js");
    const options = ["--prefix", setup.toolkit.folder, "hooks", ...words];
    const result = await call(process.execPath, [program, ...options]);
    expect(result).toMatchObject({ code: 0, stderr: "" });
    return result.stdout;
  };
  const json = async (...words: string[]): Promise<unknown> => JSON.parse(await ctk(...words, "--json"));
  expect(await json("log")).toEqual([]);

  await setup.toolkit.rules({
    version: 1,
    rules: [
      {
        name: "kept",
        record: true,
        hooks: { createRuntime: [shell("sleep 0.2; echo to $0; echo said >&2")] },
      },
      { name: "lax", onFailure: "ignore", hooks: { poststop: [shell("printf '\\033[1mwrong\\n'; exit 9")] } },
      { name: "quiet", hooks: { poststart: [{ path: "/bin/true" }] } },
    ],
  });
  await setup.process(["sh", "-c", "exit 5"]);
  const run = ["run", "--bundle", setup.bundle, setup.id];
  expect(await setup.run(...run)).toMatchObject({ code: 5 });
  expect(await setup.run(...run)).toMatchObject({ code: 5 });

  const kept = {
    rule: "kept",
    stage: "createRuntime",
    program: "/bin/sh",
    policy: "fail",
    containerId: setup.id,
    status: 0,
    output: "to /bin/sh\nsaid\n",
    durationMs: expect.toSatisfy((ms: number) => ms >= 200 && ms < 60_000),
    startedAt: expect.stringMatching(/^20..-..-..T/),
    endedAt: expect.stringMatching(/^20..-..-..T/),
  };
  const lax = { rule: "lax", stage: "poststop", policy: "ignore", status: 9, containerId: setup.id };
  expect(await json("log")).toMatchObject([kept, lax, kept, lax]);
  expect(await json("log", "--last", "1")).toMatchObject([lax]);
  expect(await json("log", "--failed")).toMatchObject([lax, lax]);
  expect(await json("log", "--rule", "kept")).toMatchObject([kept, kept]);
  expect(await json("log", "--container", setup.id)).toHaveLength(4);
  expect(await json("log", "--container", "other")).toEqual([]);
  const [first, second] = (await ctk("log", "--last", "2")).split(/^(?=20)/m);
  expect(first).toMatch(
    new RegExp(
      `^20\\S+Z  kept  createRuntime  /bin/sh  ok  \\d+\\.\\d ms  ${setup.id}\\n  to /bin/sh\\n  said\\n$`,
    ),
  );
  // What could steer the terminal is not shown as it is.
  expect(second).toMatch(/  lax  poststop  \/bin\/sh  exit 9  \d+\.\d ms  \S+\n  \?\[1mwrong\n$/);

  expect(await json("status")).toMatchObject([
    { rule: "lax", runs: 2, failures: 2, last: { status: 9 } },
    { rule: "kept", runs: 2, failures: 0, medianMs: kept.durationMs, last: { output: kept.output } },
  ]);
  expect(await ctk("status")).toMatch(
    /^lax  poststop  \/bin\/sh  runs 2  failed 2  median \d+\.\d ms  longest \d+\.\d ms  last exit 9 at 20\S+Z\nkept  createRuntime  \/bin\/sh  runs 2  failed 0  .*  last ok at 20\S+Z\n$/,
  );
});
