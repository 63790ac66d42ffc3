import { describe, expect, test } from "vitest";
import { temporaryFolder } from "@aeon/testkit";
import { runGoTests } from "./conformance/go-tests.ts";
import { buildGoProgram } from "./go/programs.ts";
import { aeonServer, goPeer } from "./servers/commands.ts";

/** containerd's suite and the contract of `go/suite`; containerd's own snapshotter shows that the tests are right. */
const servers = [
  { command: await aeonServer(), variables: {} },
  { command: await goPeer(), variables: { AEON_CONFORMANCE_REFERENCE: "1" } },
];
const suite = await buildGoProgram("suite");

describe.each(servers)("$command.name", async ({ command, variables }) => {
  await using folder = await temporaryFolder("conformance");
  const results = await runGoTests({
    binary: suite,
    cwd: folder.path,
    env: { TMPDIR: folder.path, AEON_CONFORMANCE_SERVER: JSON.stringify(command.argv), ...variables },
    timeoutMs: 240_000,
  });

  test.each(results)("$name", ({ outcome, output }) => {
    expect(outcome === "pass" ? "pass" : output).toBe("pass");
  });

  test("runs every test of containerd's suite", () => {
    const official = results.filter(({ name }) => name.startsWith("TestOfficial/"));
    expect(official.length).toBeGreaterThanOrEqual(21);
  });
});
