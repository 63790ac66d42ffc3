import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { errorMessage } from "@aeon/core";
import type { ControllerOptions, DindStatus } from "./controller-options.ts";
import type { DindSettings } from "./dind-settings.ts";
import { followEvents } from "./follow-events.ts";
import { Health } from "./health.ts";
import { Lifecycle } from "./lifecycle.ts";
import { isUp, LiveContainers } from "./live.ts";
import { MainContainers } from "./main-containers.ts";
import { requireRecord, type Parts } from "./parts.ts";
import type { MainContainer } from "./places.ts";
import { Reconciler } from "./reconciler.ts";
import { DindRecords } from "./records.ts";
import { reloadAll } from "./reload.ts";
import { Reviver } from "./reviver.ts";

/** Runs a DinD container beside each main container that has one, and nothing beside the others. */
export class DindController implements AsyncDisposable {
  readonly #parts: Parts;
  readonly #abort: AbortController;
  readonly #lifecycle: Lifecycle;
  readonly #health: Health;
  readonly #loops: readonly Promise<void>[];
  /** What an earlier process left is taken up, or it never will be. */
  readonly #takenUp: Promise<void>;

  private constructor(parts: Parts, abort: AbortController) {
    this.#parts = parts;
    this.#abort = abort;
    this.#lifecycle = new Lifecycle(parts, (main) => this.#wake(main));
    const reconciler = new Reconciler(parts, this.#lifecycle, {
      start: (main) => this.start(main, parts.signal),
      arm: (main) => this.arm(main),
    });
    this.#health = new Health(parts, this.#lifecycle, reconciler);
    const reviver = new Reviver(parts, this.#lifecycle);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#takenUp = promise;
    const events = followEvents(parts, reconciler, reviver, resolve).finally(resolve);
    this.#loops = [events, this.#health.watch()];
  }

  /** Takes up what an earlier process left, and follows containerd from then on. */
  static async open(options: ControllerOptions): Promise<DindController> {
    await mkdir(options.root, { recursive: true, mode: 0o700 });
    await mkdir(options.state, { recursive: true, mode: 0o700 });
    const abort = new AbortController();
    const parts: Parts = {
      options,
      records: new DindRecords(join(options.root, "dind.db")),
      lives: new LiveContainers(options),
      mains: new MainContainers(options.client),
      signal: abort.signal,
    };
    return new DindController(parts, abort);
  }

  /** Starts it, or waits until a start under way is done. */
  start(main: MainContainer, signal: AbortSignal): Promise<DindStatus> {
    const { lives } = this.#parts;
    return lives.inTurn(main, async (live) => {
      if (!isUp(live)) await this.#lifecycle.start(main, live, signal);
      return lives.statusOf(main);
    });
  }

  /** Ends it; images and volumes stay until the main container goes. */
  stop(main: MainContainer): Promise<DindStatus> {
    const { lives } = this.#parts;
    return lives.inTurn(main, async (live) => {
      await this.#lifecycle.stop(main, live);
      return lives.statusOf(main);
    });
  }

  async restart(main: MainContainer, signal: AbortSignal): Promise<DindStatus> {
    await this.stop(main);
    return this.start(main, signal);
  }

  /** Makes the socket; the first client starts the rest. */
  arm(main: MainContainer): Promise<DindStatus> {
    const { lives, records } = this.#parts;
    return lives.inTurn(main, async (live) => {
      if (records.get(main.namespace, main.id) === undefined) await this.#lifecycle.arm(main, live);
      return lives.statusOf(main);
    });
  }

  list(): readonly DindStatus[] {
    return this.#parts.records.list().map((record) => this.#parts.lives.statusOf(record));
  }

  /** Throws `DIND_NOT_FOUND`. */
  async status(main: MainContainer): Promise<DindStatus> {
    requireRecord(this.#parts, main);
    const live = this.#parts.lives.of(main);
    if (isUp(live)) await this.#health.check(live);
    return this.#parts.lives.statusOf(main);
  }

  /** The settings of a main container: those that its DinD container runs with, or would. */
  async settings(main: MainContainer): Promise<DindSettings> {
    return this.#parts.options.settings(await this.#parts.mains.info(main), main.namespace);
  }

  /** Those that its DinD container runs with; what would hold when there is none. */
  async settingsInForce(main: MainContainer): Promise<DindSettings> {
    const { records, lives } = this.#parts;
    const known = records.get(main.namespace, main.id);
    return (known === undefined ? undefined : lives.of(main).settings) ?? (await this.settings(main));
  }

  /** Takes over what a running dockerd can; gives the settings that need a restart, by container. */
  reload(): Promise<ReadonlyMap<string, readonly string[]>> {
    return reloadAll(this.#parts);
  }

  /** Resolves when what an earlier process left is taken up and everything that is under way is done. */
  async settled(): Promise<void> {
    await this.#takenUp;
    await this.#parts.lives.settled();
  }

  /** Ends the controller; DinD containers and their filters go on. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort(new Error("the DinD controller ends"));
    await Promise.allSettled(this.#loops);
    await this.settled();
    for (const live of this.#parts.lives.all()) {
      this.#lifecycle.filters.release(live);
      await live.wakeUp?.[Symbol.asyncDispose]();
    }
    await this.#parts.records[Symbol.asyncDispose]();
  }

  #wake(main: MainContainer): void {
    const { lives, options, signal } = this.#parts;
    void this.start(main, signal).catch((error: unknown) => {
      options.log.warn({ container: main.id, error: errorMessage(error) }, "dind: lazy start failed");
      const live = lives.of(main);
      void live.wakeUp?.[Symbol.asyncDispose]();
      live.wakeUp = undefined;
    });
  }
}
