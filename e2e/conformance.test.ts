import { describe, expect, test } from "vitest";
import { temporaryFolder } from "@aeon/testkit";
import { runGoTests } from "./conformance/go-tests.ts";
import { buildGoProgram } from "./go/programs.ts";
import { aeonServer, goPeer } from "./servers/commands.ts";

const aeon = await aeonServer();
const silent = (): void => {};

/**
 * containerd's suite and the contract of `go/suite`, with the sources and the client of each release line;
 * containerd's own snapshotter shows that the tests are right.
 */
const runs = [
  { command: aeon, release: "1.7", variables: {} },
  { command: aeon, release: "2.1", variables: {} },
  { command: await goPeer(), release: "1.7", variables: { AEON_CONFORMANCE_REFERENCE: "1" } },
] as const;

describe.each(runs)("$command.name, suite of $release", async ({ command, release, variables }) => {
  await using folder = await temporaryFolder("conformance");
  const results = await runGoTests({
    binary: await buildGoProgram("suite", silent, release),
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
