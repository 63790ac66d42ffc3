import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { run } from "@aeon/standalone";
import type { FilteredDocker } from "./filtered-docker.ts";

/** docker's command line on a terminal of its own. */
export interface Terminal {
  /** Waits until it shows a text. */
  shows(text: string): Promise<void>;
  type(text: string): void;
  resize(columns: number, rows: number): Promise<void>;
  /** Exit code of docker. */
  readonly ended: Promise<number>;
  readonly screen: string;
}

const patienceMs = 20_000;

/** Starts `docker ARGS` through the filter; the arguments are words of a shell. */
export function openTerminal(pod: FilteredDocker, args: string): Terminal {
  // It names its terminal first, so that the test can change its size.
  const command = `tty; stty cols 80 rows 24; exec ${join(pod.dockerd.tree, "usr/bin/docker")} ${args}`;
  const child = spawn("script", ["-qefc", command, "/dev/null"], {
    cwd: pod.dockerd.folder,
    env: {
      PATH: "/usr/bin:/bin",
      SHELL: "/bin/sh",
      TERM: "dumb",
      HOME: pod.dockerd.folder,
      DOCKER_HOST: `unix://${pod.socket}`,
      DOCKER_CLI_HINTS: "false",
    },
    stdio: ["pipe", "pipe", "inherit"],
  });
  let screen = "";
  child.stdout.on("data", (bytes: Buffer) => (screen += bytes.toString()));
  const ended = once(child, "close").then(([code]) => Number(code ?? -1));
  return {
    ended,
    get screen() {
      return screen;
    },
    async shows(text) {
      const signal = AbortSignal.timeout(patienceMs);
      try {
        while (!screen.includes(text)) await once(child.stdout, "data", { signal });
      } catch (cause) {
        throw new Error(`the terminal shows no ${text}, but: ${screen}`, { cause });
      }
    },
    type: (text) => void child.stdin.write(text),
    async resize(columns, rows) {
      const device = /^\/dev\/pts\/\d+/.exec(screen)?.[0] ?? "";
      await run("stty", ["-F", device, "cols", String(columns), "rows", String(rows)]);
    },
  };
}
