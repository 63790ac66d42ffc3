import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { request } from "node:http";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { errors } from "../errors.ts";
import {
  readyLine,
  type DaemonConfig,
  type FilterConfig,
  type FilterStatus,
} from "../filter/filter-config.ts";
import type { MainSocket } from "../mounts/main-socket.ts";
import { replace } from "./daemon-files.ts";
import type { Places } from "./places.ts";

/** Milliseconds until a new filter has to serve, and for one call of its control socket. */
const readyMs = 20_000;
const callMs = 10_000;

/** Program of the filter: beside the agent in a bundle, or the source. */
export function filterCommand(): readonly string[] {
  const bundled = join(import.meta.dirname, "dind-filter.js");
  if (existsSync(bundled)) return [process.execPath, bundled];
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const source = join(dirname(import.meta.dirname), "filter", `main.${extension}`);
  return [process.execPath, ...(extension === "ts" ? ["--conditions=@aeon/source"] : []), source];
}

/** Starts the filter of one DinD container with the sockets it serves; it outlives this process. Gives its pid. */
export async function startFilter(
  places: Places,
  config: FilterConfig,
  sockets: readonly MainSocket[],
  command = filterCommand(),
): Promise<number> {
  await mkdir(places.filterState, { recursive: true, mode: 0o700 });
  const listeners = sockets.map((_, index) => 3 + index);
  await replace(places.filterConfig, JSON.stringify({ ...config, listeners }));
  const log = openSync(places.filterLog, "a", 0o600);
  const [program = process.execPath, ...args] = command;
  const child = spawn(program, [...args, places.filterConfig], {
    detached: true,
    stdio: ["ignore", "pipe", log, ...sockets.map(({ fd }) => fd)],
    env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
  });
  closeSync(log);
  try {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(() => reject(new Error(`not ready after ${readyMs} ms`)), readyMs);
    child.once("error", reject);
    child.once("exit", (code, signal) => reject(new Error(`ended with ${signal ?? code}`)));
    let said = "";
    child.stdout?.on("data", (chunk: Buffer) => {
      said += chunk.toString();
      if (said.split("\n").includes(readyLine)) resolve();
    });
    await promise.finally(() => clearTimeout(timer));
  } catch (cause) {
    child.kill("SIGKILL");
    throw errors.DIND_FILTER_FAILED(`the filter did not start (see ${places.filterLog}): ${String(cause)}`, {
      cause,
    });
  }
  child.stdout?.destroy();
  child.unref();
  return child.pid ?? 0;
}

/** A running filter, by its control socket. */
export class FilterControl {
  readonly #socket: string;

  constructor(socket: string) {
    this.#socket = socket;
  }

  async status(): Promise<FilterStatus> {
    const answer: FilterStatus = JSON.parse(await this.#call("GET", "/status"));
    return answer;
  }

  /** Tells where a new D is and waits until its pins are there. */
  async setDaemon(daemon: DaemonConfig): Promise<void> {
    await this.#call("PUT", "/daemon", daemon);
  }

  async reload(): Promise<void> {
    await this.#call("POST", "/reload");
  }

  /** Ends it; false when nobody answers. */
  async stop(): Promise<boolean> {
    return this.#call("POST", "/stop").then(
      () => true,
      () => false,
    );
  }

  async #call(method: string, path: string, body?: object): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const sent = request(
      {
        socketPath: this.#socket,
        method,
        path,
        timeout: callMs,
        agent: false,
        headers: { "content-type": "application/json" },
      },
      (response) => {
        const { statusCode } = response;
        const settle = (answer: string): void =>
          statusCode === 200
            ? resolve(answer)
            : reject(errors.DIND_FILTER_FAILED(`the filter refused ${method} ${path}: ${answer}`));
        void text(response).then(settle, reject);
      },
    );
    sent.once("timeout", () => sent.destroy(new Error(`no answer in ${callMs} ms`)));
    sent.once("error", reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
    return promise;
  }
}
