import { namespaces } from "@aeon/proto";
import type { Labels } from "@aeon/core";
import type { Connection } from "./connection.ts";
import { errors } from "./errors.ts";
import type { CallOptions, GrpcClient } from "./grpc/service-types.ts";
import { labelMask, required } from "./values.ts";

export interface NamespaceInfo {
  readonly name: string;
  readonly labels: Labels;
}

/** containerd's namespaces: separate sets of containers, images, snapshots and leases. */
export class Namespaces {
  readonly #api: GrpcClient<typeof namespaces.Namespaces>;

  constructor(connection: Connection) {
    this.#api = connection.service(namespaces.Namespaces);
  }

  async list(options?: CallOptions): Promise<readonly NamespaceInfo[]> {
    return (await this.#api.list({}, options)).namespaces.map(infoOf);
  }

  /** Throws `NAMESPACE_NOT_FOUND`; containerd's own call makes up an empty answer. */
  async get(name: string, options?: CallOptions): Promise<NamespaceInfo> {
    const found = (await this.list(options)).find((candidate) => candidate.name === name);
    if (found === undefined) throw errors.NAMESPACE_NOT_FOUND(`namespace ${name} does not exist`);
    return found;
  }

  async create(name: string, labels: Labels = {}, options?: CallOptions): Promise<NamespaceInfo> {
    return infoOf(
      required((await this.#api.create({ namespace: { name, labels } }, options)).namespace, "namespace"),
    );
  }

  /** Sets the given labels and leaves others; an empty value deletes one. */
  async setLabels(name: string, labels: Labels, options?: CallOptions): Promise<NamespaceInfo> {
    await this.#api.update({ namespace: { name, labels }, updateMask: labelMask(labels) }, options);
    // containerd leaves the namespace out of this reply.
    return this.get(name, options);
  }

  /** Fails with `failed-precondition` unless the namespace is empty. */
  async delete(name: string, options?: CallOptions): Promise<void> {
    await this.#api.delete({ name }, options);
  }
}

const infoOf = ({ name, labels }: namespaces.Namespace): NamespaceInfo => ({ name, labels });
