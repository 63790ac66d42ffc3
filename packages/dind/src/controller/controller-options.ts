import type { Client, ContainerInfo } from "@aeon/containerd";
import type { Logger } from "@aeon/core";
import type { DindSettings } from "./dind-settings.ts";
import type { MainContainer } from "./places.ts";
import type { Isolation } from "./user-namespace.ts";

export interface ControllerOptions {
  readonly client: Client;
  readonly root: string;
  readonly state: string;
  readonly snapshotter: string;
  readonly imageArchive: string | undefined;
  readonly log: Logger;
  /** What holds for a main container, and where each value comes from. */
  readonly settings: (main: ContainerInfo, namespace: string) => DindSettings;
  /** How a main container asks for Docker by itself, if it does. */
  readonly request: (main: ContainerInfo) => "start" | "arm" | undefined;
  /** Namespaces that are looked after; all when absent. */
  readonly isOurs: (namespace: string) => boolean;
  readonly filterCommand?: readonly string[];
  /** Added to dockerd's environment, such as the host's proxy. */
  readonly env?: readonly string[];
  /** Milliseconds between two looks at each dockerd; 5000 when absent. */
  readonly healthMs?: number;
}

export type DindState =
  | "armed"
  | "starting"
  | "running"
  | "unhealthy"
  | "restarting"
  | "stopped"
  | "removing";

export interface DindStatus extends MainContainer {
  readonly state: DindState;
  /** Why it does not run as it should. */
  readonly reason: string;
  readonly restarts: number;
  readonly container: string;
  /** First process of the DinD container; absent while it has none. */
  readonly pid: number | undefined;
  readonly since: number;
  /** What keeps its root from being the host's; absent while it does not run. */
  readonly isolation: Isolation | undefined;
}
