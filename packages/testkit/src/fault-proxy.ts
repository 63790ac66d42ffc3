import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { seeded } from "./seeded.ts";

/**
 * What may happen to a connection: a reset, an early end, silence, a changed byte, an error answer in HTTP, or
 * delays. All but the error answer also make sense for TLS.
 */
export type Fault = "corrupt" | "cut" | "error" | "slow" | "stall" | "truncate";

export interface FaultProxyOptions {
  /** Address that connections are passed on to, such as `http://127.0.0.1:9000`. */
  readonly target: string;
  /** Decides which connection suffers what, and where. */
  readonly seed: number;
  /** Probability by fault, of a connection to have it; what is left of 1 goes well. */
  readonly faults?: Readonly<Partial<Record<Fault, number>>>;
  /** The fault comes after so many bytes of a direction at most. Default 64 KiB. */
  readonly within?: number;
  /** Which direction suffers; either one when absent. */
  readonly direction?: Direction;
}

export type Direction = "down" | "up";

/** A TCP proxy before a real server, on the loopback interface, that does to connections what networks do. */
export interface FaultProxy extends AsyncDisposable {
  readonly endpoint: string;
  /** Bytes that clients have sent to the server. */
  readonly sent: number;
  /** How often each fault came about. */
  readonly happened: Readonly<Record<Fault, number>>;
  /** Changes what new connections suffer; old ones go on. */
  setFaults(faults: Readonly<Partial<Record<Fault, number>>>): void;
  /** Resets every connection, and new ones at once, until {@link restore}. */
  interrupt(): void;
  restore(): void;
  /** Resolves once clients have sent this many bytes in all. */
  sentAtLeast(bytes: number): Promise<void>;
}

/** Starts a proxy; it prints nothing, so a test has to name its seed. */
export async function launchFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const proxy = new Proxy(options);
  await proxy.listen();
  return proxy;
}

interface Plan {
  readonly fault: Fault | undefined;
  readonly direction: Direction;
  /** Bytes of the direction before the fault. */
  readonly after: number;
}

class Proxy implements FaultProxy {
  readonly #options: FaultProxyOptions;
  readonly #target: URL;
  readonly #random: () => number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #waiting = new Set<{ readonly bytes: number; readonly resolve: () => void }>();
  #faults: Readonly<Partial<Record<Fault, number>>>;
  #interrupted = false;
  #port = 0;
  sent = 0;
  readonly happened = { corrupt: 0, cut: 0, error: 0, slow: 0, stall: 0, truncate: 0 };

  constructor(options: FaultProxyOptions) {
    this.#options = options;
    this.#target = new URL(options.target);
    this.#random = seeded(options.seed);
    this.#faults = options.faults ?? {};
    this.#server = createServer((client) => this.#accept(client));
  }

  get endpoint(): string {
    return `${this.#target.protocol}//127.0.0.1:${this.#port}`;
  }

  async listen(): Promise<void> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    const address = this.#server.address();
    if (typeof address === "object" && address !== null) this.#port = address.port;
  }

  setFaults(faults: Readonly<Partial<Record<Fault, number>>>): void {
    this.#faults = faults;
  }

  interrupt(): void {
    this.#interrupted = true;
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  restore(): void {
    this.#interrupted = false;
  }

  sentAtLeast(bytes: number): Promise<void> {
    if (this.sent >= bytes) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add({ bytes, resolve });
    return promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server.close(), "close");
  }

  #accept(client: Socket): void {
    this.#track(client);
    if (this.#interrupted) {
      client.resetAndDestroy();
      return;
    }
    const plan = this.#plan();
    if (plan.fault === "error") {
      this.#answerError(client);
      return;
    }
    const server = connect({ host: this.#target.hostname, port: Number(this.#target.port) });
    this.#track(server);
    void this.#pass(client, server, plan, "up");
    void this.#pass(server, client, plan, "down");
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => this.#sockets.delete(socket));
  }

  #plan(): Plan {
    const draw = this.#random();
    const direction = this.#options.direction ?? (this.#random() < 0.5 ? "up" : "down");
    const after = Math.floor(this.#random() * (this.#options.within ?? 65_536));
    let sum = 0;
    for (const [name, probability] of Object.entries(this.#faults)) {
      sum += probability;
      if (draw < sum && isFault(name)) return { fault: name, direction, after };
    }
    return { fault: undefined, direction, after };
  }

  /** Forwards one direction until it ends or its fault comes. */
  async #pass(from: Socket, to: Socket, plan: Plan, direction: Direction): Promise<void> {
    const fault = plan.direction === direction ? plan.fault : undefined;
    let seen = 0;
    try {
      for await (const data of from) {
        let chunk: Buffer = data;
        const before = seen;
        seen += chunk.length;
        const at = plan.after - before;
        if (fault !== undefined && at < chunk.length) {
          if (fault === "slow") await this.#delay(at >= 0);
          else if (at >= 0) {
            this.happened[fault] += 1;
            if (fault === "corrupt") chunk = corrupted(chunk, at);
            else return await this.#end(fault, from, to, chunk.subarray(0, at));
          }
        }
        if (direction === "up") this.#count(chunk.length);
        if (!to.write(chunk)) await Promise.race([once(to, "drain"), once(to, "close")]);
      }
      to.end();
    } catch {
      from.destroy();
      to.destroy();
    }
  }

  async #delay(first: boolean): Promise<void> {
    if (first) this.happened.slow += 1;
    await sleep(5);
  }

  async #end(
    fault: "cut" | "error" | "stall" | "truncate",
    from: Socket,
    to: Socket,
    rest: Buffer,
  ): Promise<void> {
    to.write(rest);
    // Whoever waits has to find out by himself.
    if (fault === "stall") await Promise.race([once(from, "close"), once(to, "close")]);
    if (fault === "truncate") to.end();
    else to.resetAndDestroy();
    from.destroy();
  }

  /** Answers the first request with 500 or 503, without the server. */
  #answerError(client: Socket): void {
    const status = this.#random() < 0.5 ? "500 Internal Server Error" : "503 Slow Down";
    client.once("data", () => {
      this.happened.error += 1;
      client.resume().end(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
    });
  }

  #count(bytes: number): void {
    this.sent += bytes;
    for (const waiter of this.#waiting)
      if (this.sent >= waiter.bytes) {
        this.#waiting.delete(waiter);
        waiter.resolve();
      }
  }
}

const isFault = (name: string): name is Fault =>
  ["corrupt", "cut", "error", "slow", "stall", "truncate"].includes(name);

function corrupted(chunk: Buffer, at: number): Buffer {
  const copy = Buffer.from(chunk);
  copy[at] = (copy[at] ?? 0) ^ 0x01;
  return copy;
}
