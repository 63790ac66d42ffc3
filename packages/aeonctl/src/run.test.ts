import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import type { Command } from "commander";
import { expect, test } from "vitest";
import { plainStyle } from "./format/style.ts";
import { createProgram } from "./program.ts";
import { run } from "./run.ts";

async function aeonctl(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const said = Promise.all([text(stdout), text(stderr)]);
  const code = await run(args, { stdout, stderr, style: plainStyle });
  stdout.end();
  stderr.end();
  const [out, err] = await said;
  return { code, stdout: out, stderr: err };
}

test.each([
  [["bakups"], "unknown command 'bakups' (Did you mean backups?)"],
  [["status", "--otput", "json"], "unknown option '--otput' (Did you mean --output?)"],
  [
    ["status", "-o", "xml"],
    "option '-o, --output <format>' argument 'xml' is invalid. Allowed choices are table, json, yaml.",
  ],
  [
    ["status", "--timeout", "soon"],
    "option '-t, --timeout <seconds>' argument 'soon' is invalid. Expected seconds between",
  ],
  [["status", "--timeout", "-1"], "option '-t, --timeout <seconds>' argument '-1' is invalid"],
  [["restore", "b"], "required option '-c, --container <id>' not specified"],
  [["backups", "show"], "missing required argument 'backup'"],
  [["containers", "ls", "--state", "sleepy"], "option '-s, --state <state...>' argument 'sleepy' is invalid"],
])("%j is wrong use in one line", async (args, message) => {
  const { code, stdout, stderr } = await aeonctl(...args);
  expect(code).toBe(2);
  expect(stdout).toBe("");
  expect(stderr).toContain(`aeonctl: ${message}`);
  expect(stderr.trimEnd().split("\n")).toHaveLength(1);
});

test("says which socket nobody serves and what to do", async () => {
  const { code, stderr } = await aeonctl("status", "--address", "/nonexistent/admin.sock");
  expect(code).toBe(4);
  expect(stderr).toBe(
    "aeonctl: no agent at /nonexistent/admin.sock: there is no such socket; start the agent (aeon agent), or name its socket with --address or AEON_ADDRESS [AGENT_UNREACHABLE]\n",
  );
});

const visibleCommands = (command: Command): readonly Command[] =>
  command
    .createHelp()
    .visibleCommands(command)
    .filter((child) => child.name() !== "help");

const leaves = (command: Command, path: string[]): (readonly [string, string[]])[] =>
  command.commands.length === 0
    ? [[path.join(" "), path]]
    : visibleCommands(command).flatMap((child) => leaves(child, [...path, child.name()]));

const program = createProgram({ stdout: new PassThrough(), stderr: new PassThrough(), style: plainStyle });

test.each(leaves(program, []))("%s --help shows an example, and the common options", async (name, path) => {
  const { code, stdout } = await aeonctl(...path, "--help");
  expect(code).toBe(0);
  expect(stdout).toContain(`Usage: aeonctl ${name}`);
  expect(stdout).toMatch(new RegExp(`Examples:\n.*aeonctl ${name}`));
  expect(stdout).toContain("--address <socket>");
});

test("prints its version", async () => {
  expect(await aeonctl("--version")).toMatchObject({ code: 0, stdout: "0.1.0\n" });
});
