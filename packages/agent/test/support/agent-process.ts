import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { serializeToml } from "@aeon/core";
import { onTestFinished } from "vitest";

const main = join(import.meta.dirname, "../../src/main.ts");

export interface AgentFolders {
  readonly folder: string;
  readonly root: string;
  readonly state: string;
  readonly config: string;
  readonly snapshotter: string;
}

/** A temporary folder for an agent; short, since paths of Unix sockets are. */
export function agentFolders(): AgentFolders {
  const folder = mkdtempSync(join(tmpdir(), "aeon-a-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const state = join(folder, "run");
  return {
    folder,
    root: join(folder, "root"),
    state,
    config: join(folder, "config.toml"),
    snapshotter: join(state, "snapshotter.sock"),
  };
}

/** Writes a configuration that binds no fixed port and needs no containerd. */
export function writeConfig(
  { config, root, state, folder }: AgentFolders,
  tables: Readonly<Record<string, unknown>> = {},
): void {
  const base = {
    root,
    state,
    metrics: { address: "127.0.0.1:0" },
    containerd: { address: join(folder, "containerd.sock") },
    log: { level: "debug", format: "json" },
  };
  writeFileSync(config, serializeToml({ ...base, ...tables }));
}

export type LogLine = Readonly<Record<string, unknown>> & { readonly msg: string };

/** A process of the agent as users start it. */
export class AgentProcess {
  readonly child: ChildProcess;
  readonly lines: LogLine[] = [];
  readonly #exited: Promise<number | string>;
  readonly #watchers = new Set<() => void>();
  #errors = "";
  #output = "";

  constructor(
    args: readonly string[],
    environment: NodeJS.ProcessEnv = {},
    program: readonly string[] = sourceProgram,
    owner: (end: () => Promise<void>) => void = onTestFinished,
  ) {
    this.child = spawn(process.execPath, [...program, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...environment },
    });
    this.#exited = once(this.child, "close").then(
      ([code, signal]) => (code as number | null) ?? String(signal),
    );
    this.child.stdout?.setEncoding("utf8").on("data", (text: string) => (this.#output += text));
    if (this.child.stderr !== null)
      createInterface({ input: this.child.stderr }).on("line", (line) => this.#take(line));
    owner(async () => {
      this.child.kill("SIGKILL");
      await this.#exited;
    });
  }

  get errors(): string {
    return this.#errors;
  }

  get output(): string {
    return this.#output;
  }

  /** Resolves with the exit code, or the name of the signal. */
  get exited(): Promise<number | string> {
    return this.#exited;
  }

  /** Resolves with the first line, past or future, that `matches`; rejects when the process ends before. */
  async line(matches: (line: LogLine) => boolean, after = 0): Promise<LogLine> {
    for (;;) {
      const found = this.lines.slice(after).find(matches);
      if (found !== undefined) return found;
      const { promise, resolve } = Promise.withResolvers<"line">();
      const watcher = () => resolve("line");
      this.#watchers.add(watcher);
      const first = await Promise.race([promise, this.#exited]);
      this.#watchers.delete(watcher);
      if (first !== "line" && !this.lines.slice(after).some(matches))
        throw new Error(
          `the agent ended with ${first}:\n${this.#errors}\n${this.lines.map((l) => JSON.stringify(l)).join("\n")}`,
        );
    }
  }

  message(text: string, after = 0): Promise<LogLine> {
    return this.line(({ msg }) => msg === text, after);
  }

  /** `http://host:port` once the agent is ready. */
  async ready(): Promise<string> {
    await this.message("agent is ready");
    const { address } = await this.message("metrics and health are served");
    return `http://${String(address)}`;
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  #take(line: string): void {
    const value = parsed(line);
    if (value === undefined) this.#errors += `${line}\n`;
    else this.lines.push(value);
    for (const watcher of this.#watchers) watcher();
  }
}

const sourceProgram = ["--conditions=@aeon/source", main];

function parsed(line: string): LogLine | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null && "msg" in value ? (value as LogLine) : undefined;
  } catch {
    return undefined;
  }
}

export function startAgentProcess(
  folders: AgentFolders,
  environment: NodeJS.ProcessEnv = {},
  program?: readonly string[],
  owner?: (end: () => Promise<void>) => void,
): AgentProcess {
  return new AgentProcess(["agent", "--config", folders.config], environment, program, owner);
}

/** What /readyz says. */
export async function readiness(url: string): Promise<{
  readonly status: number;
  readonly ready: boolean;
  readonly plugins: readonly {
    readonly name: string;
    readonly state: string;
    readonly failure?: string;
    readonly restarts: number;
  }[];
}> {
  const response = await fetch(`${url}/readyz`);
  const body = (await response.json()) as Awaited<ReturnType<typeof readiness>>;
  return { ...body, status: response.status };
}
