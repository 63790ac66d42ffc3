import { once } from "node:events";
import { createServer as createNetServer, type Server as NetServer, type Socket } from "node:net";
import type { Server } from "node:http";
import { startSuccessor } from "./control/handover.ts";
import { serveControl, type ControlServer } from "./control/control-server.ts";
import { Filter } from "./filter.ts";
import { readyLine, type DaemonConfig, type HandoverRequest } from "./filter-config.ts";

/**
 * Runs a filter from its configuration file until it is told to stop, or has handed over and its last stream has ended.
 * `listeners` are used in place of the file's.
 */
export async function runFilter(file: string, listeners: readonly number[] | undefined): Promise<void> {
  const filter = new Filter(file);
  const http = filter.createServer();
  const fds = listeners ?? filter.config.listeners;
  const doors: NetServer[] = [];
  const { promise: finished, resolve: finish } = Promise.withResolvers<void>();
  // By the time the successor is up it has replaced the file of the control socket.
  let control: ControlServer | undefined;
  let stopped: Promise<void> | undefined;

  const stop = async (body: unknown): Promise<void> => {
    stopped ??= keepsPins(body) ? Promise.resolve() : filter.pins.releaseAll();
    await stopped;
    // The answer has to leave before the process ends.
    setImmediate(finish);
  };
  const handOver = async (request: HandoverRequest): Promise<{ pid: number }> => {
    const pid = await startSuccessor(request, fds);
    filter.draining = true;
    for (const door of doors) door.close();
    control?.close();
    setInterval(() => {
      if (filter.activity.requests + filter.activity.streams === 0) finish();
    }, 500);
    http.closeIdleConnections();
    return { pid };
  };

  const limit = (): void => {
    for (const door of doors) door.maxConnections = filter.settings.limits.connections;
  };
  const reload = (): void => {
    filter.reload();
    limit();
  };

  for (const fd of fds) doors.push(await listen(fd, http));
  limit();
  control = await serveControl(
    filter.config.controlSocket,
    {
      "GET /status": () => filter.status(),
      "GET /metrics": () => filter.metrics(),
      "PUT /daemon": (body) => filter.useDaemon(daemonIn(body)),
      "POST /reload": reload,
      "POST /handover": (body) => handOver(handoverIn(body)),
      "POST /stop": stop,
    },
    { replace: listeners !== undefined },
  );
  process.stdout.write(`${readyLine}\n`);
  await finished;
  filter[Symbol.dispose]();
}

const keepsPins = (body: unknown): boolean =>
  typeof body === "object" && body !== null && "keepPins" in body && body.keepPins === true;

function daemonIn(body: unknown): DaemonConfig {
  if (!isDaemon(body)) throw new TypeError("pid, mainRoot and pinFolder are required");
  return body;
}

const isDaemon = (body: unknown): body is DaemonConfig =>
  typeof body === "object" &&
  body !== null &&
  "pid" in body &&
  typeof body.pid === "number" &&
  "mainRoot" in body &&
  typeof body.mainRoot === "string" &&
  "pinFolder" in body &&
  typeof body.pinFolder === "string";

function handoverIn(body: unknown): HandoverRequest {
  if (!isHandover(body)) throw new TypeError("command and config are required");
  return body;
}

const isHandover = (body: unknown): body is HandoverRequest =>
  typeof body === "object" &&
  body !== null &&
  "command" in body &&
  Array.isArray(body.command) &&
  body.command.every((word) => typeof word === "string") &&
  "config" in body &&
  typeof body.config === "string";

/** Takes over a socket that is listening already. Its file is never touched. */
async function listen(fd: number, http: Server): Promise<NetServer> {
  const door = createNetServer({ allowHalfOpen: true, noDelay: true });
  door.on("connection", (socket: Socket) => http.emit("connection", socket));
  door.listen({ fd });
  await once(door, "listening");
  return door;
}
