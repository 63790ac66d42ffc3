export { showOrigin, variableOf, type Origin } from "./layers.ts";
export { leavesOf, type Leaf } from "./leaves.ts";
export { loadConfig, peekConfig, type ConfigEntry, type ConfigSources, type LoadedConfig } from "./load.ts";
export { printConfig } from "./print.ts";
export { parseToml, serializeToml, type TomlTable } from "./toml.ts";
export { absolutePath, byteSize, duration } from "./values.ts";
export { watchFile } from "./watch.ts";
