import { mkdir, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { temporaryFolder } from "@aeon/testkit";
import { beforeAll, expect, test } from "vitest";
import { buildPrograms, call, testToolkit } from "./toolkit.ts";

beforeAll(buildPrograms);

const spec = '{"ociVersion":"1.1.0","process":{"args":["sh"]}}';

/** `npm run soak -- hooks` asks for more. */
const creates = Number(process.env["AEON_HOOKS_CREATES"] ?? 2000);

/** Runs `create` so often in one shell, on a config.json that is new each time. */
const loop =
  'cd "$2" && i=0; while [ $i -lt $3 ]; do printf %s "$4" >config.json; "$1" --log "$2/log" create b || exit 1; i=$((i+1)); done; set -- /proc/$$/fd/*; echo $#';

async function filesBelow(folder: string): Promise<Readonly<Record<string, number>>> {
  const names = await readdir(folder, { recursive: true });
  const sizes = await Promise.all(
    names.map(async (name) => [name, (await stat(join(folder, name))).size] as const),
  );
  return Object.fromEntries(sizes);
}

test(
  `${creates} creates leave no file, no descriptor and no longer log behind; nor do those that look closer`,
  async () => {
    await using folder = await temporaryFolder("many");
    const bundle = join(folder.path, "bundle");
    await mkdir(bundle);
    await using toolkit = await testToolkit(["/bin/true"]);
    const hooks = { createRuntime: [{ path: "/bin/true" }], poststop: [{ path: "/bin/true" }] };
    for (const [when, times] of [
      [{}, creates],
      [{ commands: "sh$" }, Math.ceil(creates / 60)],
    ] as const) {
      await toolkit.rules({ version: 1, rules: [{ name: "a", when, hooks }] });
      await toolkit.compile();
      await writeFile(
        toolkit.paths.config,
        `[container-hooks-runtime]\nruntimes = ["/bin/true"]\ndebug = ""\n`,
      );
      await toolkit.compile();
      const run = (count: number) =>
        call("/bin/sh", ["-c", loop, "sh", toolkit.launcher, bundle, String(count), spec]);
      const few = await run(2);
      expect(few).toMatchObject({ code: 0, stderr: "" });
      const before = [await filesBelow(toolkit.folder), await filesBelow(bundle)];
      expect(await run(times)).toEqual(few);
      expect([await filesBelow(toolkit.folder), await filesBelow(bundle)]).toEqual(before);
    }
  },
  60_000 + creates * 30,
);

test("the toolkit's own log is turned over at its size", async () => {
  await using folder = await temporaryFolder("many");
  await writeFile(join(folder.path, "config.json"), spec);
  await using toolkit = await testToolkit(["/bin/true"]);
  const hooks = { createRuntime: [{ path: "/bin/true" }] };
  await toolkit.rules({ version: 1, rules: [{ name: "a", when: { commands: "sh" }, hooks }] });
  await writeFile(toolkit.paths.log, "x".repeat((1 << 20) + 1));
  expect(await call(toolkit.launcher, ["create", "b"], { cwd: folder.path })).toMatchObject({ code: 0 });
  expect((await stat(`${toolkit.paths.log}.1`)).size).toBeGreaterThan(1 << 20);
  await writeFile(join(folder.path, "config.json"), spec);
  expect(await call(toolkit.launcher, ["create", "b"], { cwd: folder.path })).toMatchObject({ code: 0 });
  expect((await stat(toolkit.paths.log)).size).toBeLessThan(1000);
});
