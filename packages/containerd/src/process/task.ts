import type { types } from "@aeon/proto";
import type { Descriptor, RuntimeSpec, SpecProcess, SpecResources } from "@aeon/oci";
import type { Connection } from "../connection.ts";
import type { CallOptions } from "../grpc/service-types.ts";
import { jsonAny, runcCheckpointAny } from "../runtime-any.ts";
import { descriptorOf } from "../values.ts";
import { ContainerProcess } from "./process.ts";
import { signalNumber } from "./signals.ts";
import { Stdio, type StdioOptions } from "./stdio.ts";

export interface ExecOptions extends StdioOptions {
  /** Program and arguments. */
  readonly args: readonly string[];
  /** Names the process within the task; made up when absent. */
  readonly id?: string;
  /** `KEY=value` pairs on top of the container's. */
  readonly env?: readonly string[];
  readonly cwd?: string;
  readonly user?: SpecProcess["user"];
  /** Replaces everything derived from the container's own process. */
  readonly process?: SpecProcess;
}

export interface TaskProcess {
  /** As the host counts. */
  readonly pid: number;
}

export interface CheckpointOptions {
  /** Stop the container afterwards. */
  readonly exit?: boolean;
}

/** A container's running side: its init process and everything beside it. */
export class Task extends ContainerProcess {
  readonly #spec: () => Promise<RuntimeSpec>;

  constructor(
    connection: Connection,
    facts: {
      readonly containerId: string;
      readonly pid: number;
      readonly stdio: Stdio | undefined;
      readonly spec: () => Promise<RuntimeSpec>;
    },
  ) {
    super(connection, { ...facts, execId: "" });
    this.#spec = facts.spec;
  }

  /** Adds a process to the container; `start` runs it, `delete` removes it after its exit. */
  async exec(options: ExecOptions, call?: CallOptions): Promise<ContainerProcess> {
    const { id = `exec-${crypto.randomUUID()}` } = options;
    const process = options.process ?? execProcess(await this.#spec(), options);
    const stdio = await Stdio.open(options, this.connection.ioFolder);
    try {
      await this.api.exec(
        { containerId: this.containerId, execId: id, ...stdio.paths, spec: jsonAny("Process", process) },
        call,
      );
      return new ContainerProcess(this.connection, {
        containerId: this.containerId,
        execId: id,
        pid: 0,
        stdio,
      });
    } catch (error) {
      await stdio[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Signals every process in the container. */
  async killAll(signal: NodeJS.Signals | number = "SIGKILL", options?: CallOptions): Promise<void> {
    await this.api.kill({ ...this.ids, signal: signalNumber(signal), all: true }, options);
  }

  /** All processes in the container. */
  async pids(options?: CallOptions): Promise<readonly TaskProcess[]> {
    const reply = await this.api.listPids({ containerId: this.containerId }, options);
    return reply.processes.map(({ pid }) => ({ pid }));
  }

  /** Cgroup statistics; the payload's type depends on the cgroup version. */
  async metrics(options?: CallOptions): Promise<types.Metric | undefined> {
    const reply = await this.api.metrics({ filters: [`id==${this.containerId}`] }, options);
    return reply.metrics[0];
  }

  /** Changes resource limits of the running container. */
  async update(resources: SpecResources, options?: CallOptions): Promise<void> {
    await this.api.update(
      { containerId: this.containerId, resources: jsonAny("LinuxResources", resources) },
      options,
    );
  }

  async pause(options?: CallOptions): Promise<void> {
    await this.api.pause({ containerId: this.containerId }, options);
  }

  async resume(options?: CallOptions): Promise<void> {
    await this.api.resume({ containerId: this.containerId }, options);
  }

  /** Saves the running state (needs CRIU on the host) and returns what it wrote into the content store. */
  async checkpoint(how: CheckpointOptions = {}, options?: CallOptions): Promise<readonly Descriptor[]> {
    const reply = await this.api.checkpoint(
      { containerId: this.containerId, options: runcCheckpointAny({ exit: how.exit ?? false }) },
      options,
    );
    return reply.descriptors.map(descriptorOf);
  }
}

function execProcess(spec: RuntimeSpec, options: ExecOptions): SpecProcess {
  const base = spec.process ?? { args: [], cwd: "/", user: { uid: 0, gid: 0 } };
  const { args, env = [], cwd = base.cwd, user = base.user, terminal = false } = options;
  return { ...base, args, env: [...(base.env ?? []), ...env], cwd, user, terminal };
}
