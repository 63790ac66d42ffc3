import { existsSync } from "node:fs";
import { join } from "node:path";
import { containerdClient, type Client } from "@aeon/containerd";
import { definePlugin, errorMessage, Lifetime, watchedNamespaces, type PluginContext } from "@aeon/core";
import type { DindController } from "../controller/controller.ts";
import { dindConfig, type DindConfig } from "./config.ts";
import { dockerService } from "./docker-service.ts";
import { dindService, type DindService } from "./dind-service.ts";
import { explainSettings, requestOf, settingsOf } from "./settings-of.ts";

/**
 * Docker in pods as a plugin of the agent. Until a container asks for it, only the starts of containers are looked at;
 * the controller is loaded with the first that does, or when an earlier agent left something.
 */
export const dindPlugin = definePlugin({
  name: "dind",
  config: dindConfig,
  hooksSnapshots: false,
  async start(context) {
    const life = new Lifetime();
    try {
      const client = context.require(containerdClient);
      const plugin = new LazyController(context, client, life);
      context.provide(dindService, plugin);
      context.containerServices.register(dockerService(plugin));
      context.onReload((config) => plugin.reload(config));
      if (existsSync(join(context.root, "dind.db"))) await plugin.controller();
      else plugin.watch();
      return life;
    } catch (error) {
      await life[Symbol.asyncDispose]();
      throw error;
    }
  },
});

class LazyController implements DindService {
  readonly #context: PluginContext<DindConfig>;
  readonly #client: Client;
  readonly #life: Lifetime;
  #config: DindConfig;
  #controller: Promise<DindController> | undefined;

  constructor(context: PluginContext<DindConfig>, client: Client, life: Lifetime) {
    this.#context = context;
    this.#client = client;
    this.#life = life;
    this.#config = context.config;
  }

  controller(): Promise<DindController> {
    return (this.#controller ??= this.#open());
  }

  async #open(): Promise<DindController> {
    const { root, state, log } = this.#context;
    const { DindController: Controller } = await import("../controller/controller.ts");
    return this.#life.use(
      await Controller.open({
        client: this.#client,
        root,
        state,
        snapshotter: "overlayfs",
        imageArchive: this.#config["image-archive"],
        log,
        settings: (info, namespace) => settingsOf(this.#config, info, namespace),
        request: (info) => requestOf(this.#config, info),
        isOurs: (namespace) => this.#isOurs(namespace),
      }),
    );
  }

  #isOurs(namespace: string): boolean {
    const watched = this.#context.find(watchedNamespaces);
    return watched === undefined || watched.some((name) => name === namespace);
  }

  /** Loads the controller with the first container that asks; it then follows containers by itself. */
  watch(): void {
    const stop = new AbortController();
    const signal = AbortSignal.any([this.#life.signal, stop.signal]);
    const look = async (): Promise<void> => {
      for await (const event of this.#client.events({ filters: [`topic=="/tasks/start"`], signal })) {
        if (this.#controller !== undefined) return;
        const asked = event.kind === "gap" ? await this.#anyAsks() : await this.#asks(event);
        if (asked) {
          await this.controller();
          return;
        }
      }
    };
    look().catch((error: unknown) => {
      if (!signal.aborted)
        this.#context.log.error({ error: errorMessage(error) }, "dind: starts are not seen");
    });
    this.#life.defer(() => stop.abort(new Error("the plugin ends")));
  }

  async #anyAsks(): Promise<boolean> {
    for (const { name } of await this.#client.namespaces.list()) {
      if (!this.#isOurs(name)) continue;
      const all = await this.#client.withNamespace(name).containers();
      if (all.some((info) => requestOf(this.#config, info) !== undefined)) return true;
    }
    return false;
  }

  async #asks(event: {
    readonly namespace: string;
    readonly topic: string;
    readonly payload: unknown;
  }): Promise<boolean> {
    const { payload, namespace } = event;
    const id: unknown =
      typeof payload === "object" && payload !== null && "containerId" in payload ? payload.containerId : "";
    if (typeof id !== "string" || id === "" || !this.#isOurs(namespace)) return false;
    const info = await this.#client
      .withNamespace(namespace)
      .container(id)
      .info()
      .catch(() => undefined);
    return info !== undefined && requestOf(this.#config, info) !== undefined;
  }

  /** Keys that wait for a restart of DinD containers are logged by container; none waits for the agent. */
  async reload(config: DindConfig): Promise<readonly string[]> {
    this.#config = config;
    if (this.#controller === undefined) return [];
    for (const [container, keys] of await (await this.#controller).reload())
      this.#context.log.warn({ container, keys }, "dind: restart the DinD container for these settings");
    return [];
  }

  async list(): ReturnType<DindService["list"]> {
    return this.#controller === undefined ? [] : (await this.#controller).list();
  }

  async status(...args: Parameters<DindService["status"]>): ReturnType<DindService["status"]> {
    return (await this.controller()).status(...args);
  }

  async start(
    ...[main, { lazy }, signal]: Parameters<DindService["start"]>
  ): ReturnType<DindService["start"]> {
    const controller = await this.controller();
    return lazy ? controller.arm(main) : controller.start(main, signal);
  }

  async stop(...args: Parameters<DindService["stop"]>): ReturnType<DindService["stop"]> {
    return (await this.controller()).stop(...args);
  }

  async restart(...args: Parameters<DindService["restart"]>): ReturnType<DindService["restart"]> {
    return (await this.controller()).restart(...args);
  }

  async showConfig(...[main]: Parameters<DindService["showConfig"]>): ReturnType<DindService["showConfig"]> {
    const { namespace, id } = main;
    const info = await this.#client.withNamespace(namespace).container(id).info();
    const controller = await this.controller();
    return explainSettings(this.#config, info, namespace, await controller.settingsInForce(main));
  }

  async importImage(
    ...[namespace, file, signal]: Parameters<DindService["importImage"]>
  ): ReturnType<DindService["importImage"]> {
    const { importDindImage } = await import("../image/require-image.ts");
    const client = this.#client.withNamespace(namespace);
    const { name, target } = await importDindImage(client, this.#config.image, file, signal);
    return { name, digest: target.digest };
  }
}
