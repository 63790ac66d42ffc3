import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Daemon, untilReady } from "@aeon/standalone";
import { stringify } from "smol-toml";
import { opens } from "../opens.ts";
import type { NodeNamespace } from "./node-namespace.ts";

export interface NodeAgentOptions {
  /** The agent's program, for Node. */
  readonly agent: string;
  /** Tables of the agent's configuration beside those that follow from the node. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Lets the agent be an NRI plugin of containerd. */
  readonly nri?: boolean;
}

/** The agent of a node as a process in its namespaces. */
export class NodeAgent {
  readonly #options: NodeAgentOptions;
  readonly #folder: string;
  readonly #namespace: NodeNamespace;
  #program: string;
  #daemon: Daemon | undefined;

  constructor(options: NodeAgentOptions, folder: string, namespace: NodeNamespace) {
    this.#program = options.agent;
    this.#options = options;
    this.#folder = folder;
    this.#namespace = namespace;
  }

  get paths() {
    const at = (name: string): string => join(this.#folder, name);
    return {
      root: at("a"),
      state: at("r"),
      snapshotter: at("r/snapshotter.sock"),
      admin: at("r/admin.sock"),
      snapshots: at("s"),
      config: at("aeon.toml"),
      log: at("agent.log"),
    };
  }

  get pid(): number | undefined {
    return this.#daemon?.running ? this.#daemon.pid : undefined;
  }

  /** `program`: the agent's from now on. */
  async start(program?: string): Promise<void> {
    this.#program = program ?? this.#program;
    const { paths } = this;
    await mkdir(paths.root, { recursive: true, mode: 0o711 });
    await mkdir(paths.state, { recursive: true, mode: 0o711 });
    await writeFile(paths.config, stringify(this.#config()));
    const [enter = "", ...entering] = this.#namespace.enter;
    const daemon = await Daemon.start({
      program: enter,
      args: [...entering, process.execPath, this.#program, "agent", "--config", paths.config],
      cwd: this.#folder,
      env: { NODE_OPTIONS: undefined, VITEST: undefined },
      log: paths.log,
    });
    this.#daemon = daemon;
    const failure = await untilReady(daemon, () => opens(paths.snapshotter), 60_000);
    if (failure !== undefined)
      throw new Error(`the agent did not start: ${failure}\n${await daemon.logTail()}`);
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    await this.#daemon?.end(signal, 20_000);
  }

  async logTail(): Promise<string> {
    return (await this.#daemon?.logTail()) ?? "";
  }

  #config(): Record<string, unknown> {
    const { paths } = this;
    return {
      version: 1,
      root: paths.root,
      state: paths.state,
      log: { format: "json" },
      metrics: { address: `${this.#namespace.address}:9464` },
      containerd: { address: join(this.#folder, "c/containerd.sock"), namespaces: ["k8s.io"] },
      snapshotter: { socket: paths.snapshotter, root: paths.snapshots },
      ...(this.#options.nri === true && { hooks: { "nri-socket": join(this.#folder, "c/nri.sock") } }),
      ...this.#options.config,
    };
  }
}
