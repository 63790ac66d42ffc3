import { createServer, connect } from "node:net";
import { once } from "node:events";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { agentConfig } from "./agent-config.ts";
import { Daemon } from "./daemon.ts";
import { errors } from "./errors.ts";
import { hasFlag, listProcesses, signalProcess, waitUntilGone, type ProcessInfo } from "./processes.ts";
import { untilReady } from "./ready.ts";
import { standalonePaths } from "./standalone-paths.ts";

/** An aeon agent that runs; disposing ends it in order and removes its sockets. */
export interface AgentProcess extends AsyncDisposable {
  readonly pid: number;
  /** `http://host:port` of metrics and health. */
  readonly metrics: string;
  /** Resolves with how it ended. */
  readonly ended: Promise<string>;
  /** Resolves when the agent says on /readyz that all of its parts work. Throws `AGENT_START_FAILED`. */
  ready(signal: AbortSignal): Promise<void>;
  logTail(): Promise<string>;
}

const startMs = 30_000;
const stopMs = 20_000;

/**
 * Starts the agent and resolves when its snapshotter can be called, which is when containerd may start. Throws
 * `AGENT_START_FAILED` with the end of its log.
 */
export async function startAgent(root: string, program: string, signal: AbortSignal): Promise<AgentProcess> {
  const paths = standalonePaths(root);
  await Promise.all(
    [paths.agentRoot, paths.store].map((folder) => mkdir(folder, { recursive: true, mode: 0o711 })),
  );
  const address = await freeAddress(9464);
  await writeFile(paths.agentConfig, agentConfig(root, address));
  await rm(paths.run, { recursive: true, force: true });
  await mkdir(paths.run, { mode: 0o711 });
  const daemon = await Daemon.start({
    program: process.execPath,
    args: [program, "agent", "--config", paths.agentConfig],
    cwd: root,
    log: paths.agentLog,
    env: { NODE_OPTIONS: undefined },
  });
  const dispose = async (): Promise<void> => {
    await daemon.end("SIGTERM", stopMs);
    await rm(paths.run, { recursive: true, force: true });
  };
  const waitFor = async (answers: () => Promise<boolean>, stop: AbortSignal): Promise<void> => {
    const failure = await untilReady(daemon, answers, startMs, stop);
    if (failure === undefined) return;
    throw errors.AGENT_START_FAILED(`the agent did not start: ${failure}\n${await daemon.logTail()}`, {
      details: { log: paths.agentLog },
    });
  };
  try {
    await waitFor(() => accepts(paths.snapshotterSocket), signal);
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    pid: daemon.pid,
    metrics: `http://${address}`,
    ended: daemon.ended,
    ready: (stop) => waitFor(() => respondsOk(`http://${address}/readyz`), stop),
    logTail: () => daemon.logTail(),
    [Symbol.asyncDispose]: dispose,
  };
}

/** Ends agents of this folder that an earlier run left behind. */
export async function endLeftoverAgents(root: string): Promise<void> {
  const { agentConfig: config } = standalonePaths(root);
  const own = async (): Promise<readonly ProcessInfo[]> =>
    (await listProcesses()).filter(({ args }) => hasFlag(args, "--config", config));
  for (const { pid } of await own()) signalProcess(pid, "SIGTERM");
  for (const { pid } of await waitUntilGone(own, stopMs)) signalProcess(pid, "SIGKILL");
  await waitUntilGone(own, 5000);
}

/** A loopback address with the preferred port, or with any free one when somebody has it. */
async function freeAddress(preferred: number): Promise<string> {
  const server = createServer();
  server.listen(preferred, "127.0.0.1");
  await once(server, "listening").catch(async () => {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
  });
  const address = server.address();
  server.close();
  await once(server, "close");
  return `127.0.0.1:${typeof address === "object" && address !== null ? address.port : preferred}`;
}

async function accepts(path: string): Promise<boolean> {
  const socket = connect(path);
  return once(socket, "connect")
    .then(
      () => true,
      () => false,
    )
    .finally(() => socket.destroy());
}

const respondsOk = (url: string): Promise<boolean> =>
  fetch(url, { signal: AbortSignal.timeout(2000) }).then(
    ({ ok }) => ok,
    () => false,
  );
