import type { DeviceConfig, FilterConfig, FilterLimits, NetworkConfig } from "./filter-config.ts";

/** What the rules ask about this pod: the configuration with its defaults. */
export interface FilterSettings {
  readonly network: NetworkConfig;
  readonly limits: FilterLimits;
  readonly devices: DeviceConfig;
  readonly cgroupParent: string;
  readonly socketPaths: readonly string[];
  readonly filteredSocket: string | undefined;
}

const defaultLimits: FilterLimits = {
  connections: 1000,
  requests: 500,
  jsonBytes: 4 * 1024 ** 2,
  uploadBytes: 64 * 1024 ** 3,
  pins: 1000,
  shmBytes: 1024 ** 3,
  ulimit: 1_048_576,
};

export const settingsOf = (config: FilterConfig): FilterSettings => ({
  network: config.network,
  limits: { ...defaultLimits, ...config.limits },
  devices: config.devices ?? {},
  cgroupParent: config.cgroupParent ?? "/docker",
  socketPaths: config.socketPaths,
  filteredSocket: config.filteredSocket,
});
