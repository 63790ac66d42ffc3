import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { errorMessage, parseToml, type TomlTable } from "@aeon/core";
import { failure, good, warning, type Finding, type Host } from "./finding.ts";

const run = promisify(execFile);
const configure = "aeon host configure";

/** containerd's version, and what its configuration says of aeon, as containerd itself reads it. */
export async function checkContainerd(host: Host): Promise<readonly Finding[]> {
  const { containerd, containerdConfig } = host;
  let version: string;
  let table: TomlTable;
  try {
    version = (await run(containerd, ["--version"])).stdout.trim();
    const dump = await run(containerd, ["--config", containerdConfig, "config", "dump"], {
      maxBuffer: 16 << 20,
    });
    table = parseToml(dump.stdout);
  } catch (error) {
    return [
      failure(
        "containerd.program",
        `${containerd} does not tell its version and configuration: ${errorMessage(error).split("\n")[0] ?? ""}`,
        "name the program with --containerd, and its file with --containerd-config",
      ),
    ];
  }
  return [containerdVersion(version), ...configFindings(table, host)];
}

export function containerdVersion(text: string): Finding {
  const [, major, minor] = / v?(\d+)\.(\d+)\.\d+/.exec(text) ?? [];
  const number = Number(major) * 1000 + Number(minor);
  return number >= 1007
    ? good("containerd.version", text)
    : failure("containerd.version", text, "use containerd 1.7.16 or later, or 2.x");
}

/** What a dumped configuration lacks. */
export function configFindings(table: TomlTable, { state }: Pick<Host, "state">): readonly Finding[] {
  const isTwo = Number(at(table, ["version"])) >= 3;
  const socket = join(state, "snapshotter.sock");
  const proxies = at(table, ["proxy_plugins"]);
  const [name, proxy] =
    Object.entries(isObject(proxies) ? proxies : {}).find(([, each]) => at(each, ["address"]) === socket) ??
    [];
  if (name === undefined)
    return [failure("containerd.proxy", `no proxy plugin has the address ${socket}`, configure)];
  const root = at(proxy, ["exports", "root"]);
  const cri = isTwo ? "io.containerd.cri.v1.runtime" : "io.containerd.grpc.v1.cri";
  const chosen = isTwo
    ? at(table, ["plugins", "io.containerd.cri.v1.images", "snapshotter"])
    : at(table, ["plugins", cri, "containerd", "snapshotter"]);
  const runtimes = at(table, ["plugins", cri, "containerd", "runtimes"]);
  const handlers = Object.entries(isObject(runtimes) ? runtimes : {}).filter(
    ([, runtime]) => at(runtime, ["snapshotter"]) === name,
  );
  const units = at(table, ["plugins", "io.containerd.transfer.v1.local", "unpack_config"]);
  const unpacks = Array.isArray(units) && units.some((unit) => at(unit, ["snapshotter"]) === name);
  const nriOff = at(table, ["plugins", "io.containerd.nri.v1.nri", "disable"]);
  return [
    good("containerd.proxy", `proxy plugin ${name} is at ${socket}`),
    typeof root === "string" && root !== ""
      ? good("containerd.exports-root", `kubelet watches the disk of ${root}`)
      : failure(
          "containerd.exports-root",
          `proxy plugin ${name} has no exports.root: kubelet sees a disk of size 0`,
          configure,
        ),
    ...(isTwo
      ? [
          unpacks
            ? good("containerd.unpack", `the transfer service unpacks for ${name}`)
            : failure(
                "containerd.unpack",
                `the transfer service does not unpack for ${name}: pulls of pods fail`,
                configure,
              ),
        ]
      : []),
    chosen === name || handlers.length > 0
      ? good(
          "containerd.cri",
          chosen === name
            ? "all pods use the snapshotter"
            : `pods with runtime handler ${handlers.map(([each]) => each).join(", ")} use the snapshotter`,
        )
      : warning("containerd.cri", `no pod uses snapshotter ${name}`, configure),
    handlers.length > 0
      ? good("containerd.handler", `runtime handler ${handlers.map(([each]) => each).join(", ")} is there`)
      : warning("containerd.handler", `no runtime handler uses snapshotter ${name}`, configure),
    nriOff === true
      ? warning("containerd.nri", "NRI is switched off", configure)
      : good("containerd.nri", "NRI is on"),
  ];
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function at(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((below, key) => (isObject(below) ? below[key] : undefined), value);
}
