import { createGrpcClient, GrpcChannel } from "@aeon/containerd";
import { snapshots as wire, type types } from "@aeon/proto";
import type { Entry, Operation } from "./model.ts";

type Mount = types.Mount;

/** A snapshot as the server lists it. */
export type Listed = Pick<Entry, "kind" | "parent" | "labels">;

/** Runs the model's operations over containerd's protocol. */
export class SnapshotClient implements Disposable {
  readonly #channel: GrpcChannel;
  readonly #client;

  constructor(address: string) {
    this.#channel = new GrpcChannel({ address });
    this.#client = createGrpcClient(wire.Snapshots, this.#channel);
  }

  /** Answers the mounts of what was made; nothing for the other operations. */
  async run(operation: Operation): Promise<readonly Mount[]> {
    if (operation.do === "prepare") return (await this.#client.prepare(operation)).mounts;
    if (operation.do === "view") return (await this.#client.view(operation)).mounts;
    if (operation.do === "commit") await this.#client.commit(operation);
    else if (operation.do === "remove") await this.#client.remove(operation);
    else await this.#client.update({ info: { name: operation.key, labels: operation.labels } });
    return [];
  }

  async mounts(key: string): Promise<readonly Mount[]> {
    return (await this.#client.mounts({ key })).mounts;
  }

  async cleanup(): Promise<void> {
    await this.#client.cleanup({});
  }

  async list(): Promise<ReadonlyMap<string, Listed>> {
    const found = new Map<string, Listed>();
    for await (const { info } of this.#client.list({}))
      for (const { name, kind, parent, labels } of info)
        found.set(name, { kind: kinds[kind] ?? "committed", parent, labels });
    return found;
  }

  [Symbol.dispose](): void {
    this.#channel[Symbol.dispose]();
  }
}

const kinds: Readonly<Record<number, Entry["kind"]>> = {
  [wire.Kind.ACTIVE]: "active",
  [wire.Kind.VIEW]: "view",
};

/** The directory that holds an active snapshot's own files. */
export function upperDirectory(mounts: readonly Mount[]): string {
  const mount = mounts[0];
  const upper = mount?.options.find((option) => option.startsWith("upperdir="))?.slice("upperdir=".length);
  const path = mount?.type === "bind" ? mount.source : upper;
  if (path === undefined) throw new Error(`no upper directory in ${JSON.stringify(mounts)}`);
  return path;
}

/** The number in `…/snapshots/<id>/fs`. */
export function directoryNumber(upper: string): number {
  const [, digits] = /\/(\d+)\/fs$/.exec(upper) ?? [];
  if (digits === undefined) throw new Error(`${upper} is not the directory of a snapshot`);
  return Number(digits);
}
