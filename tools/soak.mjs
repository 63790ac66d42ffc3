// `npm run soak -- NAME`: tests that `npm test` runs for a short time, run for long.
import { spawn } from "node:child_process";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");

/** @type {Record<string, { env: Record<string, string>, args: readonly string[] }>} */
const soaks = {
  hooks: {
    env: { AEON_HOOKS_KILLS: "1000", AEON_HOOKS_CREATES: "10000" },
    args: ["test/kills.test.ts", "test/many.test.ts", "hooks-many.test.ts"],
  },
  dind: {
    env: { AEON_DIND_IDLE_SECONDS: "1860", AEON_DIND_REQUESTS: "3000" },
    args: ["test/filter-terminal.test.ts", "test/filter-fuzz.test.ts"],
  },
};

const [name = "", ...rest] = process.argv.slice(2);
const soak = Object.hasOwn(soaks, name) ? soaks[name] : undefined;
if (soak === undefined || rest.length > 0) {
  console.error(`usage: npm run soak -- ${Object.keys(soaks).join("|")}`);
  process.exit(2);
}
const child = spawn("vitest", ["run", "--config", "vitest.integration.config.ts", ...soak.args], {
  cwd: root,
  stdio: "inherit",
  env: { ...process.env, ...soak.env },
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.on("exit", (code) => process.exit(code ?? 1));
