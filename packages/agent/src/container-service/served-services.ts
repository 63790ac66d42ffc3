import { capability, type Capability } from "@aeon/core";
import type { ServiceDirectory } from "./dispatcher.ts";

/** The container services of all plugins; provided by the agent itself. */
export const servedServices: Capability<ServiceDirectory> = capability("served-services");
/** True when a Kubernetes API server is configured, whether or not it can be reached; provided by the agent itself. */
export const hasKubernetes: Capability<boolean> = capability("has-kubernetes");
/** Folder of run-time state of the whole agent, such as /run/aeon. */
export const agentState: Capability<string> = capability("agent-state");
