import { capability, type Capability } from "@aeon/core";
import type { Client } from "./client.ts";

/** The agent's connection to containerd, for plugins that look at containers. */
export const containerdClient: Capability<Client> = capability("containerd-client");
