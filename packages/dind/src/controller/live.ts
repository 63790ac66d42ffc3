import type { MainSocket } from "../mounts/main-socket.ts";
import type { DindState, DindStatus } from "./controller-options.ts";
import type { DindSettings } from "./dind-settings.ts";
import { placesOf, type MainContainer, type Places } from "./places.ts";
import type { DindRecord } from "./records.ts";
import type { Isolation } from "./user-namespace.ts";
import type { WakeUp } from "./wake-up.ts";

/** What is known of one DinD container in this process; the record has what must survive it. */
export interface Live {
  readonly places: Places;
  queue: Promise<unknown>;
  state: DindState;
  reason: string;
  restarts: number;
  pid: number | undefined;
  since: number;
  settings: DindSettings | undefined;
  isolation: Isolation | undefined;
  wakeUp: WakeUp | undefined;
  /** Since when nobody used it. */
  idleSince: number | undefined;
  /** True after everything but data and sockets was taken away, and until something is made. */
  isClear: boolean;
  /** The listening sockets that the filter serves, kept open so that its successor can. */
  sockets: readonly MainSocket[];
  /** Ends the watch over the filter. */
  filterWatch: AbortController | undefined;
}

/** Whether a stop of which this process or an earlier one did a part has nothing left to do. */
export const isStopped = (record: Pick<DindRecord, "sockets">, live: Pick<Live, "isClear">): boolean =>
  live.isClear && record.sockets.length === 0;

export const isUp = ({ state }: Pick<Live, "state">): boolean => state === "running" || state === "unhealthy";

/** All of them, each with a queue: what is done to one is done one after another. */
export class LiveContainers {
  readonly #folders: { readonly root: string; readonly state: string };
  readonly #all = new Map<string, Live>();

  constructor(folders: { readonly root: string; readonly state: string }) {
    this.#folders = folders;
  }

  of({ namespace, id }: MainContainer): Live {
    const name = `${namespace}/${id}`;
    let live = this.#all.get(name);
    if (live === undefined) {
      live = {
        places: placesOf(this.#folders, { namespace, id }),
        queue: Promise.resolve(),
        state: "stopped",
        reason: "",
        restarts: 0,
        pid: undefined,
        since: 0,
        settings: undefined,
        isolation: undefined,
        wakeUp: undefined,
        idleSince: undefined,
        isClear: false,
        sockets: [],
        filterWatch: undefined,
      };
      this.#all.set(name, live);
    }
    return live;
  }

  all(): Iterable<Live> {
    return this.#all.values();
  }

  inTurn<T>(main: MainContainer, work: (live: Live) => Promise<T>): Promise<T> {
    const live = this.of(main);
    const turn = live.queue.then(() => work(live));
    live.queue = turn.catch(() => {});
    return turn;
  }

  /** Lets go of what a main container that is gone left in memory, unless something is under way. */
  forget({ namespace, id }: MainContainer): void {
    const name = `${namespace}/${id}`;
    const live = this.#all.get(name);
    if (live === undefined) return;
    void this.#forgetAfter(name, live, live.queue);
  }

  async #forgetAfter(name: string, live: Live, queue: Promise<unknown>): Promise<void> {
    await queue;
    if (this.#all.get(name) === live && live.queue === queue) this.#all.delete(name);
  }

  /** Resolves when everything that is under way is done. */
  async settled(): Promise<void> {
    for (const live of this.#all.values()) await live.queue;
  }

  statusOf({ namespace, id }: MainContainer): DindStatus {
    const { state, reason, restarts, pid, since, isolation, places } = this.of({ namespace, id });
    return { namespace, id, state, reason, restarts, pid, since, isolation, container: places.container };
  }
}
