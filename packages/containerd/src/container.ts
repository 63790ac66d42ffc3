import { create } from "@bufbuild/protobuf";
import { FieldMaskSchema } from "@bufbuild/protobuf/wkt";
import { containers, tasks } from "@aeon/proto";
import { isAeonError, snapshotKey, type Labels } from "@aeon/core";
import type { RuntimeSpec } from "@aeon/oci";
import type { Connection } from "./connection.ts";
import { errors } from "./errors.ts";
import type { CallOptions } from "./grpc/service-types.ts";
import { Stdio, type StdioOptions } from "./process/stdio.ts";
import { Task } from "./process/task.ts";
import { jsonAny, runcAny, type RuncOptions } from "./runtime-any.ts";
import { mountMessage, SnapshotClient } from "./snapshots.ts";
import { labelMask, nanosOf, required } from "./values.ts";

/** A container's record in containerd. */
export interface ContainerInfo {
  readonly id: string;
  readonly labels: Labels;
  /** Name of the image record; empty if it was made without one. */
  readonly image: string;
  /** Such as `io.containerd.runc.v2`. */
  readonly runtime: string;
  readonly snapshotter: string;
  readonly snapshotKey: string;
  /** Empty if it belongs to none. */
  readonly sandbox: string;
  /** Nanoseconds since the epoch. */
  readonly createdAt: bigint;
  readonly updatedAt: bigint;
  /** As it was written, unchecked; undefined when there is none or it is not JSON. */
  readonly spec: RuntimeSpec | undefined;
}

export interface TaskOptions extends StdioOptions {
  /** Options of the runc shim, such as `binaryName`. */
  readonly runc?: RuncOptions;
}

/** containerd's record in the form of {@link ContainerInfo}. */
export function containerInfoOf(record: containers.Container | undefined): ContainerInfo {
  const {
    id,
    labels,
    image,
    runtime,
    snapshotter,
    snapshotKey: key,
    sandbox,
    createdAt,
    updatedAt,
    spec,
  } = required(record, "container");
  return {
    id,
    labels,
    image,
    runtime: runtime?.name ?? "",
    snapshotter,
    snapshotKey: key,
    sandbox,
    createdAt: nanosOf(createdAt),
    updatedAt: nanosOf(updatedAt),
    spec: spec === undefined ? undefined : specOf(spec.value),
  };
}

/** A record that somebody else made may hold anything; one such must not break a listing. */
function specOf(json: Uint8Array): RuntimeSpec | undefined {
  try {
    const spec: RuntimeSpec | null = JSON.parse(Buffer.from(json).toString());
    return spec ?? undefined;
  } catch {
    return undefined;
  }
}

/** A container: a record that says what to run. Its running side is a {@link Task}. */
export class Container {
  readonly id: string;
  readonly #connection: Connection;

  constructor(connection: Connection, id: string) {
    this.#connection = connection;
    this.id = id;
  }

  /** The record as it is now. */
  async info(options?: CallOptions): Promise<ContainerInfo> {
    const reply = await this.#connection.service(containers.Containers).get({ id: this.id }, options);
    return containerInfoOf(reply.container);
  }

  /** Sets the given labels and leaves others; an empty value deletes one. */
  async setLabels(labels: Labels, options?: CallOptions): Promise<ContainerInfo> {
    const api = this.#connection.service(containers.Containers);
    const request = { container: { id: this.id, labels }, updateMask: labelMask(labels) };
    return containerInfoOf((await api.update(request, options)).container);
  }

  /** Replaces the spec; a running task keeps the one it was made with. */
  async setSpec(spec: RuntimeSpec, options?: CallOptions): Promise<ContainerInfo> {
    const api = this.#connection.service(containers.Containers);
    const updateMask = create(FieldMaskSchema, { paths: ["spec"] });
    const request = { container: { id: this.id, spec: jsonAny("Spec", spec) }, updateMask };
    return containerInfoOf((await api.update(request, options)).container);
  }

  /** Mounts the snapshot and sets the container up; `start` on the result runs it. */
  async newTask(task: TaskOptions = {}, options: CallOptions = {}): Promise<Task> {
    const { snapshotter, snapshotKey: key, spec } = await this.info(options);
    const mounts =
      key === ""
        ? []
        : await new SnapshotClient(this.#connection, snapshotter).mounts(
            { key: snapshotKey(key) },
            options.signal && { signal: options.signal },
          );
    const stdio = await Stdio.open(
      { terminal: spec?.process?.terminal ?? false, ...task },
      this.#connection.ioFolder,
    );
    try {
      const reply = await this.#connection.service(tasks.Tasks).create(
        {
          containerId: this.id,
          rootfs: mounts.map(mountMessage),
          ...stdio.paths,
          ...(task.runc && { options: runcAny(task.runc) }),
        },
        options,
      );
      return this.#taskOf(reply.pid, stdio);
    } catch (error) {
      await stdio[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The task that exists, without its stdio. Fails with `not-found` when there is none. */
  async task(options?: CallOptions): Promise<Task> {
    const reply = await this.#connection.service(tasks.Tasks).get({ containerId: this.id }, options);
    return this.#taskOf(required(reply.process, "process").pid, undefined);
  }

  /** Removes the record and, if asked, its snapshot. Throws `CONTAINER_HAS_TASK`. */
  async delete(how: { readonly snapshot?: boolean } = {}, options: CallOptions = {}): Promise<void> {
    const { snapshotter, snapshotKey: key } = await this.info(options);
    if (await this.#hasTask(options))
      throw errors.CONTAINER_HAS_TASK(`container ${this.id} still has a task`, { details: { id: this.id } });
    await this.#connection.service(containers.Containers).delete({ id: this.id }, options);
    if (how.snapshot !== true || key === "") return;
    const context = options.signal && { signal: options.signal };
    await new SnapshotClient(this.#connection, snapshotter)
      .remove({ key: snapshotKey(key) }, context)
      .catch((error: unknown) => {
        if (!isAeonError(error, "not-found")) throw error;
      });
  }

  /** containerd itself would delete the record under a running task. */
  async #hasTask(options: CallOptions): Promise<boolean> {
    try {
      await this.#connection.service(tasks.Tasks).get({ containerId: this.id }, options);
      return true;
    } catch (error) {
      if (isAeonError(error, "not-found")) return false;
      throw error;
    }
  }

  #taskOf(pid: number, stdio: Stdio | undefined): Task {
    const spec = async (): Promise<RuntimeSpec> => required((await this.info()).spec, "spec");
    return new Task(this.#connection, { containerId: this.id, pid, stdio, spec });
  }
}
