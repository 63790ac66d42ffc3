import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { isDeepStrictEqual } from "node:util";
import { errorMessage } from "@aeon/core";
import { errors } from "../errors.ts";
import type { Verify } from "./configure.ts";
import { containerdPath, versionOf } from "./containerd-engine.ts";
import { readTable, withValue, type TomlTable } from "./toml-edit.ts";

const execute = promisify(execFile);

/** containerd's program, or a command that becomes it, such as nsenter's. */
export type ContainerdCommand = string | readonly [string, ...string[]];

/**
 * Notes how containerd reads its configuration now and answers a check that, after a change, it reads nothing else
 * differently than what `without` leaves out, by default one handler and the default. Undefined when containerd
 * cannot read the configuration as it is.
 */
export async function containerdVerifier(
  containerd: ContainerdCommand,
  file: string,
  without: (table: TomlTable, name: string) => TomlTable = withoutHandler,
): Promise<Verify | undefined> {
  const before = await dump(containerd, file).catch(() => undefined);
  if (before === undefined) return undefined;
  return async (name) => {
    const after = await dump(containerd, file).catch((error: unknown) => {
      throw errors.ENGINE_CONFIG_REJECTED(
        `${nameOf(containerd)} cannot read ${file} any more: ${errorMessage(error)}`,
        { cause: error },
      );
    });
    const [left, right] = [before, after].map((table) => without(table, name));
    if (!isDeepStrictEqual(left, right))
      throw errors.ENGINE_CONFIG_REJECTED(
        `${file} would change more for containerd than the handler ${name}: ${firstDifference(left, right)}`,
      );
  };
}

/** The configuration as containerd reads it, with every default. */
export async function dump(containerd: ContainerdCommand, file: string): Promise<TomlTable> {
  const [program, ...words] = typeof containerd === "string" ? ([containerd] as const) : containerd;
  const args = [...words, "--config", file, "config", "dump"];
  const { stdout } = await execute(program, args, { maxBuffer: 16 << 20 });
  return readTable(stdout, `${nameOf(containerd)} config dump`);
}

const nameOf = (containerd: ContainerdCommand): string =>
  typeof containerd === "string" ? containerd : (containerd.at(-1) ?? "");

function withoutHandler(table: TomlTable, name: string): TomlTable {
  const root = containerdPath(versionOf(table, "config dump"));
  const reduced = withValue(table, [...root, "runtimes", name], undefined);
  // The list of files read is no setting.
  return withValue(withValue(reduced, [...root, "default_runtime_name"], undefined), ["imports"], undefined);
}

function firstDifference(left: unknown, right: unknown, path = ""): string {
  if (typeof left === "object" && typeof right === "object" && left !== null && right !== null)
    for (const key of new Set([...Object.keys(left), ...Object.keys(right)])) {
      const [a, b] = [Reflect.get(left, key), Reflect.get(right, key)];
      if (!isDeepStrictEqual(a, b)) return firstDifference(a, b, path === "" ? key : `${path}.${key}`);
    }
  return path;
}
