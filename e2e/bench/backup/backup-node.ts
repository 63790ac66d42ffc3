import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createGrpcClient, GrpcChannel, mountOf, type GrpcClient } from "@aeon/containerd";
import { linux, type Mount } from "@aeon/core";
import { admin, containers, snapshots } from "@aeon/proto";
import { launchContainerd, type PrivateContainerd } from "@aeon/testkit";
import { agentPaths, startAgent, type AgentOptions } from "../../servers/agent.ts";
import { accepts, type ServerProcess } from "../../servers/server-process.ts";

type Backup = admin.Backup;

/** The shipped agent with backups of everything, and what containerd and kubelet would do with it. */
export interface BackupNode extends AsyncDisposable {
  readonly agent: ServerProcess;
  readonly snapshots: GrpcClient<typeof snapshots.Snapshots>;
  readonly admin: GrpcClient<typeof admin.AdminService>;
  /** Makes a container that does not run: a snapshot and a record that names it. */
  create(id: string): Promise<MadeContainer>;
  /** The mounts of a container's task. */
  mounts(container: MadeContainer): Promise<readonly Mount[]>;
  /** Removes the snapshot, as containerd's garbage collector does, and answers how many milliseconds that took. */
  remove(container: MadeContainer): Promise<number>;
  /** Waits until the backup of a removed container is in the store. */
  stored(container: MadeContainer): Promise<Backup>;
  /** Waits until everything that was removed is stored and the staged copies are gone. */
  settled(): Promise<void>;
}

export interface MadeContainer {
  readonly id: string;
  readonly key: string;
  /** The writable layer. */
  readonly upperdir: string;
}

export type BackupNodeOptions = Pick<
  AgentOptions,
  "folder" | "store" | "programs" | "nodeArguments" | "environment" | "backup"
> & {
  /** The containerd that holds the records. */
  readonly containerd: PrivateContainerd;
};

const caller = { namespace: "default" } as const;
let number = 0;

/** A containerd for the records of containers; it knows nothing of the agents' snapshots and never removes one. */
export const recordKeeper = (folder: string): Promise<PrivateContainerd> =>
  launchContainerd({ folder: join(folder, "c") });

export async function startBackupNode({
  containerd,
  folder,
  ...options
}: BackupNodeOptions): Promise<BackupNode> {
  await using stack = new AsyncDisposableStack();
  await mkdir(folder, { recursive: true });
  const settings = { ...options, folder, containerd: containerd.address };
  const agent = stack.use(await startAgent({ ...settings, untilReady: true, policy: "all" }));
  // The snapshotter's socket is opened last.
  while (!(await accepts(agent.socket))) await sleep(5);
  const snapshotChannel = stack.use(new GrpcChannel({ address: agent.socket }));
  const adminChannel = stack.use(new GrpcChannel({ address: agentPaths(folder).adminSocket }));
  const recordChannel = stack.use(new GrpcChannel({ address: containerd.address }));
  const snapshotClient = createGrpcClient(snapshots.Snapshots, snapshotChannel);
  const adminClient = createGrpcClient(admin.AdminService, adminChannel);
  const records = createGrpcClient(containers.Containers, recordChannel, caller);
  const owned = stack.move();

  const backupOf = async ({ id }: MadeContainer): Promise<Backup> => {
    const { backups } = await adminClient.listBackups({ containerId: id });
    const [backup] = backups;
    if (backup === undefined || backups.length > 1) throw new Error(`${backups.length} backups of ${id}`);
    return backup;
  };
  return {
    agent,
    snapshots: snapshotClient,
    admin: adminClient,
    async create(name) {
      const id = `${name}-${(number += 1)}`;
      const key = `default/${number}/${id}`;
      const [mount] = (await snapshotClient.prepare({ key, labels: {} })).mounts.map(mountOf);
      await records.create({ container: recordOf(id) });
      if (mount === undefined) throw new Error(`no mount for ${key}`);
      return { id, key, upperdir: mount.source };
    },
    mounts: async ({ key }) => (await snapshotClient.mounts({ key })).mounts.map(mountOf),
    async remove({ key, id }) {
      const from = performance.now();
      await snapshotClient.remove({ key });
      const took = performance.now() - from;
      await records.delete({ id });
      return took;
    },
    async stored(container) {
      const { id } = await backupOf(container);
      for await (const { backup } of adminClient.watchBackup({ id })) {
        if (backup?.state === admin.BackupState.FAILED) throw new Error(backup.failure);
        if (backup?.state === admin.BackupState.STORED) return backup;
      }
      throw new Error(`the agent does not say how backup ${id} ends`);
    },
    async settled() {
      for (;;) {
        const { counts } = await adminClient.getStatus({});
        if (counts?.backupsPending === 0n) return;
        await sleep(10);
      }
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const recordOf = (id: string) => ({
  id,
  runtime: { name: "io.containerd.runc.v2" },
  spec: {
    typeUrl: "types.containerd.io/opencontainers/runtime-spec/1/Spec",
    value: new TextEncoder().encode("{}"),
  },
  snapshotter: "aeon",
  snapshotKey: id,
});

/** Mounts as the shim does; disposing unmounts. */
export async function mountAt(target: string, mounts: readonly Mount[]): Promise<AsyncDisposable> {
  await mkdir(target, { recursive: true });
  for (const { type, source, options } of mounts) {
    const { flags, data } = linux.parseMountOptions(options);
    await linux.mount({ source, target, type: type === "bind" ? "" : type, flags, data });
  }
  return { [Symbol.asyncDispose]: () => linux.unmount(target) };
}
