// Writes the generated pages of docs/: `node tools/docs.mjs`. With --check it changes nothing and fails with a diff
// when a page is not what the sources say.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";

const root = join(import.meta.dirname, "..");
const condition = "--conditions=@aeon/source";

// The pages come from the packages' sources, which resolve each other only under this condition.
if (process.execArgv.includes(condition)) await main();
else
  process.exitCode =
    spawnSync(process.execPath, [condition, import.meta.filename, ...process.argv.slice(2)], {
      stdio: "inherit",
    }).status ?? 1;

async function main() {
  const { cliPage } = await import("./docs/cli.mjs");
  const { configurationPage } = await import("./docs/configuration.mjs");
  const { errorsPage } = await import("./docs/errors.mjs");
  const check = process.argv.includes("--check");
  const pages = { "errors.md": errorsPage, "configuration.md": configurationPage, "cli.md": cliPage };
  const scratch = mkdtempSync(join(tmpdir(), "aeon-docs-"));
  try {
    for (const [name, page] of Object.entries(pages))
      await page(root).then(
        (text) => finish(join(root, "docs", name), text, scratch, check),
        (error) => refuse(name, error),
      );
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function refuse(name, error) {
  for (const { message } of error instanceof AggregateError ? error.errors : [error])
    console.error(`docs/${name} cannot be made: ${message}`);
  process.exitCode = 1;
}

/** Writes the page, or compares it. It is formatted first, so that the formatter has nothing to say later. */
function finish(path, text, scratch, check) {
  const fresh = join(scratch, basename(path));
  writeFileSync(fresh, text);
  format(fresh);
  if (!check) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, readFileSync(fresh));
    return;
  }
  const present = existsSync(path) ? path : "/dev/null";
  const { status } = spawnSync("diff", ["-u", "--label", path, "--label", "generated", present, fresh], {
    stdio: "inherit",
  });
  if (status === 0) return;
  console.error(`${path} is not what the sources say: run npm run generate and commit the result`);
  process.exitCode = 1;
}

function format(path) {
  const { status, stderr } = spawnSync(
    join(root, "node_modules/.bin/oxfmt"),
    ["--config", join(root, ".oxfmtrc.json"), path],
    { encoding: "utf8" },
  );
  if (status !== 0) throw new Error(`oxfmt failed on ${path}: ${stderr}`);
}
