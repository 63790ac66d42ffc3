import { mkdir, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { errnoOf } from "@aeon/core";
import { stringify } from "smol-toml";
import { withFileLock } from "../engines/file-lock.ts";
import { editToml, isTable, readTable, tableAt, withValue, type TomlTable } from "../engines/toml-edit.ts";
import { errors } from "../errors.ts";
import { replaceFile } from "../spec/replace-file.ts";
import { parseToolkitConfig, toolkitDefaults } from "../toolkit/toolkit-config.ts";
import type { CtkContext } from "./context.ts";

/** `config`: writes the file with defaults when there is none, and sets values; comments and order stay. */
export async function writeConfig(settings: readonly string[], context: CtkContext): Promise<void> {
  const { config } = context.paths;
  await mkdir(dirname(config), { recursive: true });
  await withFileLock(config, async () => {
    const text = await readFile(config, "utf8").catch((error: unknown) => {
      if (errnoOf(error) === "ENOENT") return "";
      throw error;
    });
    const changed = settings.reduce(
      (current, setting) => applySetting(current, setting, context),
      text || defaultText(context),
    );
    parseToolkitConfig(changed, context.paths);
    if (changed !== text)
      await replaceFile(config, changed, { durable: true, like: { mode: 0o644, uid: 0, gid: 0 } });
  });
}

const defaultText = ({ paths }: CtkContext): string => `${stringify(toolkitDefaults(paths)).trim()}\n`;

function applySetting(text: string, setting: string, { paths }: CtkContext): string {
  const [, name = "", , value] = /^([^=]+)(=(.*))?$/s.exec(setting) ?? [];
  const path = name.split(".");
  const table = readTable(text, paths.config);
  const kinds: TomlTable = { ...toolkitDefaults(paths), "container-hooks": { path: "", "hooks-d": [] } };
  const model = valueAt(table, path) ?? valueAt(kinds, path);
  if (model === undefined || isTable(model))
    throw errors.TOOLKIT_OPTION_INVALID(`invalid config option ${name}`);
  const wanted = withValue(table, path, convert(name, model, value));
  const isNew = tableAt(table, path.slice(0, -1), paths.config) === undefined;
  return editToml(text, wanted, isNew ? [path.slice(0, -1)] : [], paths.config);
}

function valueAt(table: TomlTable, path: readonly string[]): unknown {
  let at: unknown = table;
  for (const key of path) at = isTable(at) && Object.hasOwn(at, key) ? at[key] : undefined;
  return at;
}

function convert(name: string, model: unknown, text: string | undefined): unknown {
  if (typeof model === "boolean" && (text === undefined || /^(?:true|false)$/.test(text)))
    return text !== "false";
  if (text !== undefined && Array.isArray(model)) return text.split(",").filter((part) => part !== "");
  if (text !== undefined && typeof model === "string") return text;
  if (text !== undefined && typeof model === "bigint" && /^-?\d+$/.test(text)) return BigInt(text);
  throw errors.TOOLKIT_OPTION_INVALID(`${name} cannot be set to ${text ?? "nothing"}`);
}
