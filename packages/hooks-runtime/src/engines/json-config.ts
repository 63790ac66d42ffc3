import { applyEdits, modify, type JSONPath } from "jsonc-parser";
import { errors } from "../errors.ts";
import { parseJson, showFault } from "../rules/json-document.ts";
import type { Engine, Handler, Removal } from "./engine.ts";

interface DaemonConfig {
  readonly runtimes: Readonly<Record<string, unknown>> | undefined;
  readonly defaultRuntime: string | undefined;
  readonly size: number;
}

/** dockerd's daemon.json. */
export const dockerEngine: Engine = {
  title: "docker",
  file: "/etc/docker/daemon.json",
  configure(text, { name, path, asDefault }: Handler, file) {
    const base = text.trim() === "" ? "{}\n" : text;
    readDaemonConfig(base, file);
    const added = set(base, ["runtimes", name], { path, runtimeArgs: [] });
    return asDefault ? set(added, ["default-runtime"], name) : added;
  },
  unconfigure(text, { name, previousDefault }: Removal, file) {
    const { runtimes, defaultRuntime } = readDaemonConfig(text, file);
    const isOnly = runtimes !== undefined && Object.keys(runtimes).every((other) => other === name);
    const present = runtimes !== undefined && Object.hasOwn(runtimes, name);
    let result = present ? set(text, isOnly ? ["runtimes"] : ["runtimes", name], undefined) : text;
    if (defaultRuntime === name) result = set(result, ["default-runtime"], previousDefault);
    return result !== text && readDaemonConfig(result, file).size === 0 ? "" : result;
  },
  defaultOf: (text, file) => (text.trim() === "" ? undefined : readDaemonConfig(text, file).defaultRuntime),
};

function readDaemonConfig(text: string, file: string): DaemonConfig {
  const document = parseJson(file, text);
  if (!("file" in document)) throw errors.ENGINE_CONFIG_INVALID(document.map(showFault).join("\n"));
  const { value } = document;
  const invalid = (path: readonly string[], message: string): Error =>
    errors.ENGINE_CONFIG_INVALID(showFault(document.fault(path, message)));
  if (!isObject(value)) throw invalid([], "must be an object");
  const { runtimes, "default-runtime": defaultRuntime } = value;
  if (runtimes !== undefined && !isObject(runtimes))
    throw invalid(["runtimes"], "runtimes: must be an object");
  if (defaultRuntime !== undefined && typeof defaultRuntime !== "string")
    throw invalid(["default-runtime"], "default-runtime: must be a text");
  return { runtimes, defaultRuntime, size: Object.keys(value).length };
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** jsonc-parser leaves everything but the value alone, numbers beyond JavaScript's too. */
function set(text: string, path: JSONPath, value: unknown): string {
  const indent = /\n([ \t]+)"/.exec(text)?.[1] ?? "    ";
  const formattingOptions = {
    insertSpaces: !indent.startsWith("\t"),
    tabSize: indent.length,
    eol: text.includes("\r\n") ? "\r\n" : "\n",
  };
  return applyEdits(text, modify(text, path, value, { formattingOptions }));
}
