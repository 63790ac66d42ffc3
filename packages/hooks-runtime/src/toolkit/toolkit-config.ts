import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf, errorMessage } from "@aeon/core";
import { parse, TomlError } from "smol-toml";
import * as v from "valibot";
import { errors } from "../errors.ts";
import { toolkitLogLevels } from "./log-levels.ts";
import type { ToolkitPaths } from "./toolkit-paths.ts";

export interface ToolkitConfig {
  /** Path of `hooks.json`. */
  readonly hooks: string;
  readonly hooksD: readonly string[];
  readonly ctk: string;
  /** Empty: no log. */
  readonly log: string;
  readonly logLevel: (typeof toolkitLogLevels)[number];
  /** Whether runs of hooks are kept, of rules that do not say. */
  readonly record: boolean;
  /** Low-level runtimes by name or path; the first that exists is used. */
  readonly runtimes: readonly string[];
}

const texts = v.array(v.string());
const schema = v.looseObject({
  "container-hooks": v.optional(
    v.looseObject({ path: v.optional(v.string()), "hooks-d": v.optional(texts) }),
    {},
  ),
  "container-hooks-ctk": v.optional(v.looseObject({ path: v.optional(v.string()) }), {}),
  "container-hooks-runtime": v.optional(
    v.looseObject({
      debug: v.optional(v.string()),
      "log-level": v.optional(v.string()),
      record: v.optional(v.boolean()),
      runtimes: v.optional(v.pipe(texts, v.minLength(1))),
    }),
    {},
  ),
});

/** What holds where config.toml says nothing, by table and key. */
export const toolkitDefaults = (paths: ToolkitPaths) => ({
  "container-hooks": { path: paths.hooks },
  "container-hooks-ctk": { path: join(paths.programs, "container-hooks-ctk") },
  "container-hooks-runtime": {
    debug: paths.log,
    "log-level": "info",
    record: false,
    runtimes: ["runc", "docker-runc"],
  },
});

/** Reads config.toml; unknown keys are ignored, missing ones get defaults. Throws `TOOLKIT_CONFIG_INVALID`. */
export async function readToolkitConfig(paths: ToolkitPaths): Promise<ToolkitConfig> {
  const text = await readFile(paths.config, "utf8").catch((error: unknown) => {
    if (errnoOf(error) === "ENOENT") return "";
    throw invalid(paths.config, errorMessage(error), error);
  });
  return parseToolkitConfig(text, paths);
}

/** The configuration that a text of config.toml means. */
export function parseToolkitConfig(text: string, paths: ToolkitPaths): ToolkitConfig {
  const result = v.safeParse(schema, parseTable(text, paths.config));
  if (!result.success) {
    const [issue] = result.issues;
    throw invalid(paths.config, `${v.getDotPath(issue) ?? ""}: ${issue.message}`);
  }
  const defaults = toolkitDefaults(paths);
  const hooks = result.output["container-hooks"];
  const runtime = { ...defaults["container-hooks-runtime"], ...result.output["container-hooks-runtime"] };
  const level = toolkitLogLevels.find((name) => name === runtime["log-level"]?.replace("warning", "warn"));
  return {
    hooks: hooks.path ?? paths.hooks,
    hooksD: hooks["hooks-d"] ?? [],
    ctk: result.output["container-hooks-ctk"].path ?? defaults["container-hooks-ctk"].path,
    log: runtime.debug === "/dev/null" ? "" : (runtime.debug ?? ""),
    logLevel: level ?? "info",
    record: runtime.record ?? false,
    runtimes: runtime.runtimes ?? defaults["container-hooks-runtime"].runtimes,
  };
}

function parseTable(text: string, file: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    const line = error instanceof TomlError ? error.line : 1;
    throw invalid(`${file}:${line}`, errorMessage(error).split("\n")[0] ?? "", error);
  }
}

const invalid = (place: string, message: string, cause?: unknown): Error =>
  errors.TOOLKIT_CONFIG_INVALID(`${place}: ${message}`, { cause });
