import { mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { once } from "node:events";
import { join } from "node:path";
import { bundlePrograms, type WorkspacePrograms } from "@aeon/standalone";
import { testCache } from "@aeon/testkit";
import { accepts, startProcess, type ServerProcess } from "./server-process.ts";

/** Where the agent of a folder has its files. */
export const agentPaths = (folder: string) => ({
  config: join(folder, "aeon.toml"),
  socket: join(folder, "run", "snapshotter.sock"),
  adminSocket: join(folder, "run", "admin.sock"),
  snapshots: join(folder, "snapshots"),
});

export interface AgentOptions {
  readonly folder: string;
  /** containerd's socket; it may appear later. */
  readonly containerd: string;
  /** Call the agent started when /readyz says so; else when its snapshotter accepts connections. */
  readonly untilReady?: boolean;
  /** Which containers are backed up; none when absent. */
  readonly policy?: "none" | "all";
  /** Further keys of the table `[backup]`, whose values are texts. */
  readonly backup?: Readonly<Record<string, string>>;
  /** Folder of the posix store; one in the agent's folder when absent. */
  readonly store?: string;
  /** Folder that the shipped programs are or will be bundled into; the agent's when absent. */
  readonly programs?: string;
  /** Arguments of Node itself, such as a module to load first. */
  readonly nodeArguments?: readonly string[];
  /** Variables on top of this process's. */
  readonly environment?: NodeJS.ProcessEnv;
  /** Further tables of the configuration, as TOML. */
  readonly more?: string;
}

const bundled = new Map<string, Promise<WorkspacePrograms>>();

/** The agent and aeonctl as they are shipped, bundled once into the folder, whose owner deletes them. */
export function shippedPrograms(folder: string): Promise<WorkspacePrograms> {
  const known = bundled.get(folder);
  if (known !== undefined) return known;
  const programs = bundlePrograms({
    workspace: join(import.meta.dirname, "../.."),
    target: join(folder, "programs"),
    lock: join(testCache, "bundle.lock"),
    signal: new AbortController().signal,
  });
  bundled.set(folder, programs);
  return programs;
}

/** Starts the bundled agent as it is shipped, with every plugin. */
export async function startAgent(options: AgentOptions): Promise<ServerProcess> {
  const { folder, untilReady = false, programs = folder, nodeArguments = [] } = options;
  const { agent } = await shippedPrograms(programs);
  const paths = agentPaths(folder);
  const address = `127.0.0.1:${await freePort()}`;
  await mkdir(folder, { recursive: true });
  await writeFile(paths.config, configuration(options, address));
  return startProcess(
    [process.execPath, ...nodeArguments, agent, "agent", "--config", paths.config],
    paths.socket,
    () => (untilReady ? answersOk(`http://${address}/readyz`) : accepts(paths.socket)),
    { ...(options.environment && { environment: options.environment }) },
  );
}

const configuration = (
  {
    folder,
    containerd,
    policy = "none",
    backup = {},
    store = join(folder, "store"),
    more = "",
  }: AgentOptions,
  metrics: string,
): string => `version = 1
root = "${join(folder, "agent")}"
state = "${join(folder, "run")}"
[log]
level = "warn"
[metrics]
address = "${metrics}"
[containerd]
address = "${containerd}"
namespaces = ["*"]
[snapshotter]
socket = "${agentPaths(folder).socket}"
root = "${agentPaths(folder).snapshots}"
[backup]
default-policy = "${policy}"
${Object.entries(backup)
  .map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`)
  .join("")}[backup.store]
type = "posix"
path = "${store}"
${more}`;

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no free port");
  return address.port;
}

const answersOk = (url: string): Promise<boolean> =>
  fetch(url, { signal: AbortSignal.timeout(2000) }).then(
    async (response) => {
      await response.arrayBuffer();
      return response.ok;
    },
    () => false,
  );
