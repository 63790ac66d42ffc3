import type { DeviceConfig, FilterConfig } from "../filter/filter-config.ts";
import type { DindSettings } from "./dind-settings.ts";
import type { Live } from "./live.ts";
import { inside, type MainContainer } from "./places.ts";

/** What the filter of a DinD container is told at its start. */
export function filterConfigOf(
  main: MainContainer,
  { places, pid }: Pick<Live, "places" | "pid">,
  settings: DindSettings,
  devices: DeviceConfig,
  socketPaths: readonly string[],
): FilterConfig {
  const { policyFile, network, addressPool } = settings;
  return {
    version: 1,
    container: main,
    listeners: [],
    upstream: places.upstream,
    ...(pid !== undefined && { daemon: { pid, mainRoot: inside.mainRoot, pinFolder: inside.pins } }),
    socketPaths: [...new Set([...socketPaths, "/run/docker.sock", "/var/run/docker.sock"])],
    filteredSocket: `${inside.filtered}/docker.sock`,
    network: { policy: network, pools: [addressPool] },
    ...(policyFile !== undefined && { policyFile }),
    stateFolder: places.filterState,
    devices,
    auditFile: places.auditFile,
    controlSocket: places.filterControl,
  };
}
