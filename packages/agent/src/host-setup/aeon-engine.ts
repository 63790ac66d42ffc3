import {
  editToml,
  readTable,
  tableAt,
  versionOf,
  withValue,
  type Engine,
  type TomlTable,
} from "@aeon/hooks-runtime/engines";

/** What containerd has to know of aeon. */
export interface HostSettings {
  /** Name of the snapshotter, of the runtime handler, and of the RuntimeClass. */
  readonly name: string;
  /** The snapshotter's socket. */
  readonly socket: string;
  /** The snapshotter's files, whose disk kubelet watches. */
  readonly root: string;
  /** In OCI's words, such as amd64. */
  readonly architecture: string;
  /** Runtime that the handler's containers are run with, which adds hooks to them; containerd's own runc when absent. */
  readonly launcher?: string | undefined;
  /** Makes it the snapshotter of all pods, not only of those with the runtime handler. */
  readonly allPods: boolean;
  readonly nri: boolean;
}

type Path = readonly string[];

const criTwo = "io.containerd.cri.v1.runtime";
const criOne = "io.containerd.grpc.v1.cri";
const nriPath: Path = ["plugins", "io.containerd.nri.v1.nri", "disable"];
const unpackPath: Path = ["plugins", "io.containerd.transfer.v1.local", "unpack_config"];

const runtimesOf = (version: number): Path => [
  "plugins",
  version >= 3 ? criTwo : version === 1 ? "cri" : criOne,
  "containerd",
  "runtimes",
];
const snapshotterOf = (version: number): Path =>
  version >= 3
    ? ["plugins", "io.containerd.cri.v1.images", "snapshotter"]
    : [...runtimesOf(version).slice(0, -1), "snapshotter"];

/** Every place of containerd's configuration that belongs to aeon. */
export const ownPaths = (name: string, version: number): readonly Path[] => [
  ["proxy_plugins", name],
  unpackPath,
  snapshotterOf(version),
  [...runtimesOf(version), name],
  nriPath,
];

/** A dumped configuration without what belongs to aeon, to see that nothing else differs. */
export function withoutOwn(table: TomlTable, name: string): TomlTable {
  const version = versionOf(table, "config dump");
  const paths = [...ownPaths(name, version), ["imports"], ["version"]];
  return paths.reduce((rest, path) => withValue(rest, path, undefined), table);
}

/**
 * Edits containerd's configuration, versions 1 to 3, for aeon. `dumped` is how containerd reads it, with every
 * default.
 */
export function aeonEngine(settings: HostSettings, dumped: TomlTable): Engine {
  const runsTwo = versionOf(dumped, "config dump") >= 3;
  return {
    title: "containerd for aeon",
    file: "/etc/containerd/config.toml",
    configure(text, { name }, file, main = text) {
      const before = readTable(text, file);
      const model = readTable(main, file);
      const version = versionOf(model, file);
      const base =
        Object.keys(before).length === 0 ? withValue(before, ["version"], BigInt(version)) : before;
      const runtime = [...runtimesOf(version), name];
      const proxy = ["proxy_plugins", name];
      const named = tableAt(model, runtimesOf(version), file);
      const known = tableAt(dumped, runtimesOf(versionOf(dumped, "config dump")), "config dump")?.["runc"];
      const runc = tableAt({ runc: named?.["runc"] ?? (runsTwo ? {} : known) ?? {} }, ["runc"], file) ?? {};
      // Up to 1.7 a table of handlers replaces containerd's own, and with it the handler of all other pods.
      const keepsRunc = !runsTwo && named === undefined && known !== undefined;
      const values: (readonly [Path, unknown])[] = [
        [proxy, { type: "snapshot", address: settings.socket, exports: { root: settings.root } }],
        ...(keepsRunc ? [[[...runtimesOf(version), "runc"], known] as const] : []),
        [runtime, { ...newHandler, ...withLauncher(runc, settings.launcher), snapshotter: name }],
        ...(settings.allPods ? [[snapshotterOf(version), name] as const] : []),
        ...(settings.nri ? [[nriPath, false] as const] : []),
        ...(runsTwo ? [[unpackPath, unpackConfig(model, settings, file)] as const] : []),
      ];
      const wanted = values.reduce((table, [path, value]) => withValue(table, path, value), base);
      const added = values
        .map(([path, value]) =>
          typeof value === "object" && !Array.isArray(value) ? path : path.slice(0, -1),
        )
        .filter((path) => tableAt(before, path, file) === undefined);
      return editToml(text, wanted, outermost(added), file);
    },
    unconfigure(text, { name, previousDefault }, file) {
      const before = readTable(text, file);
      const version = versionOf(before, file);
      const own: Path[] = [
        ["proxy_plugins", name],
        [...runtimesOf(version), name],
      ];
      const without = own.reduce((table, path) => withValue(table, path, undefined), before);
      const isDefault = valueAt(before, snapshotterOf(version)) === name;
      const wanted = isDefault ? withValue(without, snapshotterOf(version), previousDefault) : without;
      const units = valueAt(wanted, unpackPath);
      const others = Array.isArray(units) ? units.filter((unit) => !isOf(unit, name)) : undefined;
      const rest = others === undefined ? wanted : withValue(wanted, unpackPath, others);
      return Object.keys(rest).every((key) => key === "version") ? "" : editToml(text, rest, [], file);
    },
    defaultOf(text, file) {
      const table = readTable(text, file);
      const value = valueAt(table, snapshotterOf(versionOf(table, file)));
      return typeof value === "string" ? value : undefined;
    },
    dropIn(main, file, name) {
      const table = readTable(main, file);
      const imports = Array.isArray(table["imports"]) ? table["imports"] : [];
      const folder = imports.find(
        (entry) => typeof entry === "string" && /^\/[^*?[]+\/\*\.toml$/.test(entry),
      );
      // Below version 3 a file beside the main one replaces whole plugins; lists would come twice.
      return versionOf(table, file) >= 3 &&
        valueAt(table, unpackPath) === undefined &&
        typeof folder === "string"
        ? folder.replace("*.toml", `90-${name}.toml`)
        : undefined;
    },
  };
}

const newHandler = { runtime_type: "io.containerd.runc.v2" };

function withLauncher(runc: TomlTable, launcher: string | undefined): TomlTable {
  if (launcher === undefined) return runc;
  const options = runc["options"];
  return { ...runc, options: { ...(typeof options === "object" && options), BinaryName: launcher } };
}

/** Naming one replaces containerd's own list, so its overlayfs is named too. */
function unpackConfig(
  model: TomlTable,
  { name, architecture }: HostSettings,
  file: string,
): readonly unknown[] {
  const platform = `linux/${architecture}`;
  const present: unknown = tableAt(model, unpackPath.slice(0, -1), file)?.["unpack_config"];
  const before = Array.isArray(present)
    ? present
    : [{ platform, snapshotter: "overlayfs", differ: "walking" }];
  return [...before.filter((unit) => !isOf(unit, name)), { platform, snapshotter: name, differ: "walking" }];
}

const isOf = (unit: unknown, name: string): boolean =>
  typeof unit === "object" && unit !== null && "snapshotter" in unit && unit.snapshotter === name;

function valueAt(table: TomlTable, path: Path): unknown {
  let at: unknown = table;
  for (const key of path) at = typeof at === "object" && at !== null ? Reflect.get(at, key) : undefined;
  return at;
}

/** Paths of which none lies within another. */
const outermost = (paths: readonly Path[]): readonly Path[] => {
  const unique = [...new Map(paths.map((path) => [path.join("\0"), path])).values()];
  return unique.filter(
    (path) => !unique.some((other) => other !== path && other.every((key, at) => path[at] === key)),
  );
};
