import { execFile } from "node:child_process";
import { cp, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { temporaryFolder } from "@aeon/testkit";
import { expect, test } from "vitest";

const workspace = join(import.meta.dirname, "..");
const execute = promisify(execFile);

/** Neither what is installed or built nor tests. */
const isCopied = (path: string): boolean =>
  !/\/(node_modules|dist|test)(\/|$)/.test(path.slice(workspace.length));

/** A copy of what the reference pages are made from, which a test may spoil. */
async function copiedWorkspace() {
  const folder = await temporaryFolder("d");
  for (const name of ["packages", "tools", "docs", ".oxfmtrc.json", "package.json"])
    await cp(join(workspace, name), join(folder.path, name), { recursive: true, filter: isCopied });
  await linkModules(folder.path);
  return folder;
}

/** The copy's own packages instead of the original's; everything else is shared. */
async function linkModules(root: string): Promise<void> {
  await mkdir(join(root, "node_modules/@aeon"), { recursive: true });
  const { stdout } = await execute("ls", ["-A", join(workspace, "node_modules")]);
  for (const name of stdout.trim().split("\n"))
    if (name !== "@aeon")
      await symlink(join(workspace, "node_modules", name), join(root, "node_modules", name));
  const { stdout: own } = await execute("ls", [join(root, "packages")]);
  for (const name of own.trim().split("\n"))
    await symlink(join(root, "packages", name), join(root, "node_modules/@aeon", name));
}

async function docs(root: string, ...args: readonly string[]): Promise<{ code: unknown; output: string }> {
  return execute(process.execPath, [join(root, "tools/docs.mjs"), ...args], {
    env: { PATH: process.env["PATH"] },
  }).then(
    ({ stdout, stderr }) => ({ code: 0, output: stdout + stderr }),
    (error: { code: unknown; stdout: string; stderr: string }) => ({
      code: error.code,
      output: error.stdout + error.stderr,
    }),
  );
}

test("the reference pages are checked against the sources", async () => {
  await using copy = await copiedWorkspace();
  const root = copy.path;
  expect(await docs(root)).toEqual({ code: 0, output: "" });
  expect(await docs(root, "--check")).toEqual({ code: 0, output: "" });

  const page = join(root, "docs/cli.md");
  const original = await readFile(page, "utf8");
  await writeFile(page, original.replace("### aeonctl status", "### aeonctl state"));
  const changed = await docs(root, "--check");
  expect(changed.code).toBe(1);
  expect(changed.output).toMatch(/^-### aeonctl state$/m);
  expect(changed.output).toMatch(/^\+### aeonctl status$/m);
  expect(await docs(root)).toEqual({ code: 0, output: "" });
  expect(await readFile(page, "utf8")).toBe(original);
});

test("errors that nobody lists, throws or lists twice are refused", async () => {
  await using copy = await copiedWorkspace();
  const root = copy.path;
  const entry = `{ code: "internal", when: "w", remedy: "r" }`;
  const catalogue = `import { defineErrors } from "@aeon/core"; export const errors = defineErrors(`;
  for (const name of ["one", "two"]) {
    await mkdir(join(root, "packages", name, "src"), { recursive: true });
    await writeFile(
      join(root, "packages", name, "src/errors.ts"),
      `${catalogue}{ SHARED: ${entry}, ONLY_${name.toUpperCase()}: ${entry} });`,
    );
  }
  await writeFile(
    join(root, "packages/one/src/throws.ts"),
    `import { AeonError } from "@aeon/core";
     export const known = (x: string) => [errors.SHARED("m"), errors.ONLY_ONE("m"), new AeonError("internal", \`SYSTEM_\${x}\`, "m")];
     export const unknown = (x: string) => [new AeonError("internal", "UNLISTED", "m"), new AeonError("internal", x, "m")];`,
  );
  const { code, output } = await docs(root, "--check");
  expect(code).toBe(1);
  const complaints = output.split("\n").filter((line) => line.startsWith("docs/errors.md"));
  expect(complaints.map((line) => line.replace("docs/errors.md cannot be made: ", ""))).toEqual([
    "SHARED is in two catalogues",
    "packages/one/src/throws.ts:3 makes an AeonError with UNLISTED, which no errors.ts lists",
    "packages/one/src/throws.ts:3 makes an AeonError whose reason is not a constant; throw errors.REASON instead",
    "ONLY_TWO is listed but nothing throws it",
  ]);
});
