import type { Logger } from "@aeon/core";
import { snapshotterRuntime, type SnapshotterRuntime } from "@aeon/snapshotter";
import type { PluginHost } from "./plugin-host.ts";
import type { PluginRunner } from "./plugin-runner.ts";

/**
 * Connects the plugins' hooks with each run of the snapshotter and then opens its socket: at first when `open`
 * is called, after a restart of the snapshotter at once.
 */
export class SnapshotService {
  readonly #host: PluginHost;
  readonly #runner: PluginRunner;
  readonly #log: Logger;
  #isOpen = false;
  #served: SnapshotterRuntime | undefined;

  constructor(host: PluginHost, runner: PluginRunner, log: Logger) {
    this.#host = host;
    this.#runner = runner;
    this.#log = log;
  }

  /** The socket, while it is served. */
  get socket(): string | undefined {
    return this.#served?.listening === true ? this.#served.socket : undefined;
  }

  /** Rejects when the socket cannot be served. */
  async open(): Promise<void> {
    this.#isOpen = true;
    await this.#serve();
  }

  /** To be called after each change of a plugin. */
  follow(): void {
    if (!this.#isOpen) return;
    this.#serve().catch((error: unknown) => this.#runner.fail(error));
  }

  async #serve(): Promise<void> {
    const runtime = this.#runner.isReady ? this.#host.find(snapshotterRuntime) : undefined;
    if (runtime === undefined || runtime === this.#served) return;
    this.#served = runtime;
    this.#host.hooks.attach(runtime.pipeline);
    await runtime.listen();
    this.#log.info({ socket: runtime.socket }, "snapshotter is served");
  }
}
