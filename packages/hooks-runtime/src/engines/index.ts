export { configureEngine, unconfigureEngine, type Change, type EditOptions } from "./configure.ts";
export { versionOf } from "./containerd-engine.ts";
export type { Engine, Handler, Removal } from "./engine.ts";
export { editToml, readTable, tableAt, withValue, type TomlTable } from "./toml-edit.ts";
export { containerdVerifier, dump, type ContainerdCommand } from "./verify-containerd.ts";
