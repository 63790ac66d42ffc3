import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { join } from "node:path";
import type { FilteredDocker } from "./filtered-docker.ts";

export interface CliResult {
  readonly code: number;
  /** Standard output and error. */
  readonly text: string;
  readonly bytes: number;
}

export interface CliOptions {
  readonly input?: string | Buffer;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Talks to dockerd itself. */
  readonly raw?: boolean;
  readonly timeoutMs?: number;
  /** Only counts what comes out. */
  readonly discard?: boolean;
  /** Gives the input itself. */
  readonly hold?: (child: ChildProcessWithoutNullStreams) => Promise<void>;
}

/** Runs the engine's own docker command line, with its plugins, against the filtered socket. */
export function docker(
  pod: FilteredDocker,
  args: readonly string[],
  options: CliOptions = {},
): Promise<CliResult> {
  const { dockerd } = pod;
  const { promise, resolve, reject } = Promise.withResolvers<CliResult>();
  const child = spawn(join(dockerd.tree, "usr/bin/docker"), args, {
    cwd: options.cwd ?? dockerd.folder,
    env: {
      PATH: "/usr/bin:/bin",
      HOME: dockerd.folder,
      DOCKER_HOST: `unix://${options.raw === true ? dockerd.socket : pod.socket}`,
      DOCKER_CONFIG: join(dockerd.folder, "docker-config"),
      DOCKER_CLI_HINTS: "false",
      ...options.env,
    },
  });
  let text = "";
  let bytes = 0;
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (options.discard !== true) text += chunk.toString();
    });
  const timer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs ?? 60_000);
  child.stdin.on("error", () => undefined);
  if (options.hold === undefined) child.stdin.end(options.input);
  else
    options.hold(child).catch((error: unknown) => {
      reject(error instanceof Error ? error : new Error(String(error)));
      child.kill("SIGKILL");
    });
  child.on("error", reject);
  child.on("close", (code) => {
    clearTimeout(timer);
    resolve({ code: code ?? -1, text, bytes });
  });
  return promise;
}
