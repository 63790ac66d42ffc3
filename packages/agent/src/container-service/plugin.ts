import { existsSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { containerdClient } from "@aeon/containerd";
import {
  containerRegistry,
  definePlugin,
  Lifetime,
  podFolders,
  tokenReviewer,
  watchedNamespaces,
  type PluginContext,
} from "@aeon/core";
import { isDeepStrictEqual } from "node:util";
import { HttpFront, type HttpHandler } from "../admin/http-front.ts";
import { lazyHandler } from "../plugins/lazy-handler.ts";
import { version } from "../version.ts";
import { containerServiceConfig, type ContainerServiceConfig } from "./config.ts";
import { FolderKeeper } from "./folder-keeper.ts";
import type { HandlerOptions } from "./handler.ts";
import type { Caller } from "./pod-folder.ts";
import { agentState, hasKubernetes, servedServices } from "./served-services.ts";
import { ToolsOnDemand } from "./tools/tools-on-demand.ts";

/**
 * Gives containers a socket to the agent. The folders and sockets are light; what answers calls is loaded with the
 * first one.
 */
export const containerServicePlugin = definePlugin({
  name: "container-service",
  config: containerServiceConfig,
  hooksSnapshots: false,
  async start(context) {
    const life = new Lifetime();
    try {
      await startFolders(context, life);
      context.onReload(async (config) => (isDeepStrictEqual(config, context.config) ? [] : ["*"]));
      return life;
    } catch (error) {
      await life[Symbol.asyncDispose]();
      throw error;
    }
  },
});

async function startFolders(context: PluginContext<ContainerServiceConfig>, life: Lifetime): Promise<void> {
  const { config, log, root, signal } = context;
  const tools = existsSync(bundledProgram)
    ? life.use(
        new ToolsOnDemand({
          folder: join(root, "tools"),
          program: bundledProgram,
          log,
          failed: (reason) => context.health("tools", () => ({ ok: false, reason })),
        }),
      )
    : undefined;
  const front: HttpFront<Caller> = new HttpFront(
    lazyHandler(
      () => makeHandler(context, (request) => front.tagOf(request)),
      (error) => log.error({ error }, "the container service cannot be loaded"),
    ),
  );
  const keeper = life.use(
    new FolderKeeper({
      parent: join(context.require(agentState), "pods"),
      config,
      client: context.require(containerdClient),
      namespaces: context.find(watchedNamespaces),
      tools,
      accept: (socket, caller) => front.accept(socket, caller),
      log,
    }),
  );
  signal.addEventListener("abort", () => front.stop(), { once: true });
  keeper.start();
  context.provide(podFolders, keeper);
}

/** In the bundle the program for containers lies beside the agent's. */
const bundledProgram = join(import.meta.dirname, "pod-cli.js");

type CallerOf = HandlerOptions["callerOf"];

async function makeHandler(
  context: PluginContext<ContainerServiceConfig>,
  callerOf: CallerOf,
): Promise<HttpHandler> {
  const { config, log, metrics, signal } = context;
  const [{ Authenticator }, { Dispatcher }, { containerServiceHandler }] = await Promise.all([
    import("./authenticator.ts"),
    import("./dispatcher.ts"),
    import("./handler.ts"),
  ]);
  const services = context.require(servedServices);
  const authenticator = new Authenticator({
    config,
    hasKubernetes: context.find(hasKubernetes) === true,
    reviewer: () => context.find(tokenReviewer),
    registry: () => context.find(containerRegistry),
  });
  const dispatcher = new Dispatcher({ services, authenticator, config, log, metrics });
  if (services.get("info") === undefined) {
    const { infoService } = await import("./info-service.ts");
    context.containerServices.register(infoService({ version, node: hostname(), services }));
  }
  return containerServiceHandler({ dispatcher, services, callerOf, signal });
}
