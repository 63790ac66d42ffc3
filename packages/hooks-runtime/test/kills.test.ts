import { spawn } from "node:child_process";
import { mkdir, readdir, readFile, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { temporaryFolder } from "@aeon/testkit";
import { beforeAll, expect, test } from "vitest";
import { buildPrograms, call, testToolkit } from "./toolkit.ts";

beforeAll(buildPrograms);

/** `npm run soak -- hooks` asks for more. */
const rounds = Number(process.env["AEON_HOOKS_KILLS"] ?? 100);

const spec = '{"ociVersion":"1.1.0","big":18446744073709551615,"process":{"args":["/bin/sh"],"env":["A=1"]}}';
const hooks = { createRuntime: [{ path: "/bin/true" }] };
const spliced = spec.replace("{", '{"hooks":{"createRuntime":[{"path":"/bin/true"}]},');

test(
  `killed at ${rounds} random points the spec is the old or the new one, never something else`,
  async () => {
    await using folder = await temporaryFolder("kills");
    await using toolkit = await testToolkit(["/bin/true"]);
    const bundle = join(folder.path, "b");
    const config = join(bundle, "config.json");
    await mkdir(bundle);
    const create = () => call(toolkit.launcher, ["create", "c1"], { cwd: bundle });
    const outcomes = new Set<string>();
    await writeFile(config, spec);
    await toolkit.rules(hooks);
    const start = performance.now();
    await create();
    const longest = (performance.now() - start) * 1.2;
    for (let round = 0; round < rounds; round += 1) {
      await toolkit.rules({
        version: 1,
        rules: [{ name: "a", when: round % 2 ? {} : { commands: "sh" }, hooks }],
      });
      if (round % 4 < 2) await toolkit.compile();
      await writeFile(config, spec);
      const child = spawn(toolkit.launcher, ["create", "c1"], {
        cwd: bundle,
        stdio: "ignore",
        detached: true,
      });
      const ended = new Promise((resolve) => child.on("exit", resolve));
      const { pid = 0 } = child;
      const timer = setTimeout(
        () => {
          try {
            process.kill(-pid, "SIGKILL");
          } catch {
            // It ended before.
          }
        },
        (longest * ((round * 7) % 100)) / 100,
      );
      await ended;
      clearTimeout(timer);
      const text = await readFile(config, "utf8");
      expect([spec, spliced]).toContain(text);
      outcomes.add(text);
      expect(await create()).toMatchObject({ code: 0, stderr: "" });
      expect(await readFile(config, "utf8")).toBe(spliced);
    }
    expect(outcomes.size).toBe(2);
    // What the killed ones were writing goes with the next rules, once it is old.
    const names = await readdir(toolkit.paths.state);
    for (const name of names.filter((each) => each.endsWith(".container-hooks")))
      await utimes(join(toolkit.paths.state, name), 0, 0);
    await writeFile(join(toolkit.paths.state, ".0123456789abcdef.container-hooks"), "in the middle of it");
    await toolkit.compile();
    expect((await readdir(toolkit.paths.state)).toSorted()).toEqual([
      ".0123456789abcdef.container-hooks",
      "guard",
      "plan.json",
      "plan.sh",
      "runs",
    ]);
  },
  rounds * 3000,
);
