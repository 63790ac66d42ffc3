import type { Plugin } from "@aeon/core";
import { kubernetesPlugin } from "@aeon/kube";
import { backupControllerPlugin } from "@aeon/rootfs-backup";
import type { ConfiguredPlugin } from "../config/agent-configuration.ts";
import { environment } from "../environment.ts";

const kubernetes = kubernetesPlugin(environment);

/** The plugins with a table that exist only where the agent is part of a cluster. */
export const clusterPlugins: readonly Plugin[] = [kubernetes];

/** Whether a plugin is of those that speak to the cluster. */
export const isOfCluster = (plugin: Plugin): boolean =>
  plugin === kubernetes || plugin === backupControllerPlugin;

/** Without its table there is no Kubernetes, and nothing of it is started. */
export const isWanted = ({ plugin, config }: ConfiguredPlugin): boolean =>
  plugin !== kubernetes || config !== undefined;

/** What joins the parts of the agent with the cluster, where one is configured. */
export const controllersOf = (plugins: readonly ConfiguredPlugin[]): readonly Plugin[] =>
  plugins.some((each) => each.plugin === kubernetes && isWanted(each)) ? [backupControllerPlugin] : [];
