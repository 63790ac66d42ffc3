import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startAeon } from "./running-aeon.ts";

const readme = join(import.meta.dirname, "../README.md");
/** Where the README says that `npm start` puts everything. */
const documentedRoot = "/var/lib/aeon-standalone";

/** The commands of the README's walk-through, as one script. */
async function walkThrough(root: string): Promise<string> {
  const section = /^## Ten minutes\n(.*?)^## /ms.exec(await readFile(readme, "utf8"))?.[1] ?? "";
  const blocks = [...section.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block = ""]) => block);
  expect(blocks.length).toBeGreaterThan(4);
  expect(blocks[0]).toContain(documentedRoot);
  // The reader takes a moment to read on; containerd's garbage collector uses it.
  const collected = "timeout 30 sh -c 'until aeonctl backup ls --quiet | grep -q .; do sleep 0.1; done'\n";
  const script = blocks
    .map((block) => (block === "aeonctl backup ls\n" ? collected + block : block))
    .join("");
  expect(script).toContain(collected);
  return `set -euo pipefail\n${script.replaceAll(documentedRoot, root)}`;
}

test("the README's walk-through does what it says", async () => {
  await using aeon = await startAeon();
  const { code, stdout, stderr } = await aeon.bash(await walkThrough(aeon.root));
  expect({ code, stderr: stderr.replaceAll(/^time=.* level=warning .*\n/gm, "") }).toEqual({
    code: 0,
    stderr: "",
  });
  expect(stdout).toMatch(
    /^BACKUP +STATE[^\n]*\n\S+ +(staged|packing|uploading|verifying|stored)( +\d+%)? +default +demo /m,
  );
  expect(stdout).toMatch(/^state +stored$/m);
  expect(stdout).toMatch(/ default +demo2 +pending /);
  expect(stdout).toMatch(/^hello\ngroup\npasswd\n/m);
  expect(stdout).toMatch(/^aeon +0\.1\.0, ready$/m);
  expect(stdout).toMatch(/ default +demo2 +done /);
});
