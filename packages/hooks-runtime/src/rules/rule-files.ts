import { open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf, errorMessage } from "@aeon/core";
import { errors } from "../errors.ts";

/** Where rules are. What does not exist holds no rules. */
export interface RuleSources {
  /** Path of `hooks.json`. */
  readonly file: string;
  /** Folders of `hooks.d` files; a file in a later one takes the place of its namesake in an earlier one. */
  readonly hooksD: readonly string[];
}

export interface RuleFile {
  readonly path: string;
  /** Name of the file within its folder of `hooks.d`; absent for `hooks.json`. */
  readonly name?: string;
  readonly text: string;
}

const largestFile = 1 << 20;
const mostFiles = 1000;

/** Reads all files of rules in the order in which their rules come. Throws `RULES_UNREADABLE` or `RULES_UNSAFE`. */
export async function readRuleFiles({ file, hooksD }: RuleSources): Promise<readonly RuleFile[]> {
  const names = new Map<string, string>();
  for (const folder of hooksD)
    for (const name of await jsonNames(folder)) names.set(name, join(folder, name));
  if (names.size > mostFiles)
    throw errors.RULES_UNREADABLE(
      `${hooksD.join(", ")} hold ${names.size} files; at most ${mostFiles} are read`,
    );
  const sorted = [...names].toSorted(([a], [b]) => byLowerCase(a, b));
  const files = [
    await readRuleFile(file),
    ...(await Promise.all(sorted.map(([name, path]) => readRuleFile(path, name)))),
  ];
  return files.filter((read) => read !== undefined);
}

function byLowerCase(a: string, b: string): number {
  const [left, right] = [a.toLowerCase(), b.toLowerCase()];
  if (left !== right) return left < right ? -1 : 1;
  return a < b ? -1 : 1;
}

async function jsonNames(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).filter((name) => name.endsWith(".json"));
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw errors.RULES_UNREADABLE(`cannot read ${folder}: ${errorMessage(error)}`, { cause: error });
  }
}

/** Undefined when there is no such file. */
export async function readRuleFile(path: string, name?: string): Promise<RuleFile | undefined> {
  const bytes = await readWhole(path);
  if (bytes === undefined) return undefined;
  const text = bytes.toString("utf8");
  if (!Buffer.from(text).equals(bytes))
    throw errors.RULES_INVALID(`${path}:1:1: is not UTF-8`, { details: { file: path } });
  return { path, text, ...(name !== undefined && { name }) };
}

async function readWhole(path: string): Promise<Buffer | undefined> {
  try {
    await using handle = await open(path, "r");
    const { size, mode, uid } = await handle.stat();
    const us = process.geteuid?.() ?? 0;
    if ((mode & 0o022) !== 0 || (uid !== 0 && uid !== us))
      throw errors.RULES_UNSAFE(
        `${path} can be changed by others than ${us === 0 ? "root" : "its reader"}; chmod go-w and chown it`,
        {
          details: { file: path, mode: (mode & 0o7777).toString(8), uid },
        },
      );
    if (size > largestFile)
      throw errors.RULES_UNREADABLE(`${path} is larger than 1 MiB`, { details: { file: path } });
    return await handle.readFile();
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    if (errno === "ENOENT") return undefined;
    throw errors.RULES_UNREADABLE(`cannot read ${path}: ${errorMessage(error)}`, {
      cause: error,
      details: { file: path },
    });
  }
}
