import type { Engine, Handler, Removal } from "./engine.ts";
import { editToml, readTable, tableAt, textAt, withValue } from "./toml-edit.ts";

const root = ["crio", "runtime"];
const defaultPath = [...root, "default_runtime"];

/** CRI-O's crio.conf, or a file of its crio.conf.d. */
export const crioEngine: Engine = {
  title: "crio",
  file: "/etc/crio/crio.conf",
  configure(text, { name, path, asDefault }: Handler, file, main = text) {
    const before = readTable(text, file);
    const runtimes = [...root, "runtimes"];
    const entry = {
      ...tableAt(readTable(main, file), [...runtimes, "runc"], file),
      runtime_path: path,
      runtime_type: "oci",
    };
    const added = withValue(before, [...runtimes, name], entry);
    const wanted = asDefault ? withValue(added, defaultPath, name) : added;
    if (tableAt(before, [...runtimes, name], file) !== undefined) return editToml(text, wanted, [], file);
    const isNew = tableAt(before, root, file) === undefined;
    return editToml(text, wanted, [isNew ? root : [...runtimes, name]], file);
  },
  dropIn: (_main, file, name) => `${file}.d/99-${name}.conf`,
  unconfigure(text, { name, previousDefault }: Removal, file) {
    const before = readTable(text, file);
    const isDefault = textAt(before, defaultPath, file) === name;
    if (tableAt(before, [...root, "runtimes", name], file) === undefined && !isDefault) return text;
    const removed = withValue(before, [...root, "runtimes", name], undefined);
    const wanted = isDefault ? withValue(removed, defaultPath, previousDefault) : removed;
    return Object.keys(wanted).length === 0 ? "" : editToml(text, wanted, [], file);
  },
  defaultOf: (text, file) => textAt(readTable(text, file), defaultPath, file),
};
