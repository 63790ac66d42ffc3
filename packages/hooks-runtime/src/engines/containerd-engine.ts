import { errors } from "../errors.ts";
import type { Engine, Handler, Removal } from "./engine.ts";
import { editToml, readTable, tableAt, textAt, withValue, type TomlTable } from "./toml-edit.ts";

/** Where a version of containerd's configuration has its CRI runtimes. */
const pluginIds: Readonly<Record<number, string>> = {
  1: "cri",
  2: "io.containerd.grpc.v1.cri",
  3: "io.containerd.cri.v1.runtime",
  4: "io.containerd.cri.v1.runtime",
};

const newHandler = {
  runtime_type: "io.containerd.runc.v2",
  runtime_root: "",
  runtime_engine: "",
  privileged_without_host_devices: false,
};

/** containerd's config.toml, versions 1 to 4. */
export const containerdEngine: Engine = {
  title: "containerd",
  file: "/etc/containerd/config.toml",
  configure(text, handler, file, main = text) {
    const before = readTable(text, file);
    const model = readTable(main, file);
    const version = versionOf(model, file);
    const root = containerdPath(version);
    const path = [...root, "runtimes", handler.name];
    const entry = handlerEntry(model, root, handler, version, file);
    const base = Object.keys(before).length === 0 ? withValue(before, ["version"], BigInt(version)) : before;
    const added = withValue(base, path, entry);
    const wanted = handler.asDefault
      ? withValue(added, [...root, "default_runtime_name"], handler.name)
      : added;
    if (tableAt(before, path, file) !== undefined) return editToml(text, wanted, [], file);
    const isNew = tableAt(before, root, file) === undefined;
    return editToml(text, wanted, [isNew ? root : path], file);
  },
  dropIn(main, file, name) {
    const table = readTable(main, file);
    const imports = Array.isArray(table["imports"]) ? table["imports"] : [];
    const folder = imports.find((entry) => typeof entry === "string" && /^\/[^*?[]+\/\*\.toml$/.test(entry));
    // Below version 3 a file beside the main one replaces whole plugins.
    return versionOf(table, file) >= 3 && typeof folder === "string"
      ? folder.replace("*.toml", `99-${name}.toml`)
      : undefined;
  },
  unconfigure(text, { name, previousDefault }: Removal, file) {
    const before = readTable(text, file);
    const root = containerdPath(versionOf(before, file));
    const isDefault = textAt(before, [...root, "default_runtime_name"], file) === name;
    if (tableAt(before, [...root, "runtimes", name], file) === undefined && !isDefault) return text;
    const removed = withValue(before, [...root, "runtimes", name], undefined);
    const wanted = isDefault
      ? withValue(removed, [...root, "default_runtime_name"], previousDefault)
      : removed;
    return Object.keys(wanted).every((key) => key === "version") ? "" : editToml(text, wanted, [], file);
  },
  defaultOf(text, file) {
    const table = readTable(text, file);
    return textAt(table, [...containerdPath(versionOf(table, file)), "default_runtime_name"], file);
  },
};

/** Path of the table that holds `runtimes`. */
export const containerdPath = (version: number): readonly string[] => [
  "plugins",
  pluginIds[version] ?? "",
  "containerd",
];

/** The version of a configuration; without the key it shows by the names of its plugins. */
export function versionOf(table: TomlTable, file: string): number {
  const { version } = table;
  if (version === undefined) {
    const names = Object.keys(tableAt(table, ["plugins"], file) ?? {});
    if (Object.keys(table).length === 0 || names.some((name) => name.startsWith("io.containerd."))) return 2;
    return 1;
  }
  const number = Number(version);
  if (pluginIds[number] === undefined)
    throw errors.ENGINE_CONFIG_UNSUPPORTED(
      `${file}: version ${JSON.stringify(Number(version))} of containerd's configuration is not known`,
    );
  return number;
}

function handlerEntry(
  table: TomlTable,
  root: readonly string[],
  { path }: Handler,
  version: number,
  file: string,
): TomlTable {
  const runc = tableAt(table, [...root, "runtimes", "runc"], file) ?? newHandler;
  const options = { ...tableAt(runc, ["options"], file), BinaryName: path };
  return { ...runc, options: version === 1 ? { ...options, Runtime: path } : options };
}
