import type { UserNamespaceSetting } from "./user-namespace.ts";
import type { NetworkPolicy } from "../filter/filter-config.ts";

/** What shapes one DinD container; the agent's configuration, or a label of the main container, gives each. */
export interface DindSettings {
  readonly image: string;
  /** Bytes of dockerd's file system. */
  readonly diskLimit: number;
  readonly network: NetworkPolicy;
  /** Private IPv4 range for inner networks, at least a /20. */
  readonly addressPool: string;
  readonly registryMirrors: readonly string[];
  readonly insecureRegistries: readonly string[];
  readonly policyFile: string | undefined;
  /** Milliseconds without connections and running containers until D is stopped; 0 for never. */
  readonly idleMs: number;
  /** Whether D joins the user namespace of a main container that has one; `always` refuses others. */
  readonly userNamespace: UserNamespaceSetting;
  readonly debug: boolean;
}

/** Settings that a running dockerd takes over on SIGHUP; the others need a restart. */
export const liveSettings: readonly (keyof DindSettings)[] = [
  "registryMirrors",
  "insecureRegistries",
  "debug",
  "policyFile",
  "idleMs",
];
