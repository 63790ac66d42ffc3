import {
  backupId,
  defineAction,
  flagParam,
  nameParam,
  type ContainerCaller,
  type ContainerEntry,
  type ContainerId,
  type ContainerService,
} from "@aeon/core";
import { containerService } from "@aeon/proto";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import * as v from "valibot";
import type { Backup } from "./backup.ts";
import type { BackupService } from "./backup-service.ts";
import { errors } from "./errors.ts";
import { chainOf } from "./store/chain-of.ts";
import { isSameChain } from "./store/chain.ts";

type KnownEntry = ContainerEntry & { readonly containerId: ContainerId };

const isKnown = (entry: ContainerEntry): entry is KnownEntry => entry.containerId !== undefined;

/** Milliseconds that processes stand still, at most, for a backup of one moment. */
const pauseMs = 10_000;
/** Newest backups of a listing. */
const mostListed = 1000;

/** Backups as containers may ask for them: each sees and makes only those of its own chain. */
export function backupContainerService(backups: BackupService): ContainerService {
  const container = v.optional(nameParam());
  return {
    name: "backup",
    description: "Backups of the caller's own changed files.",
    actions: {
      create: defineAction({
        description: "Takes a backup now; wait=true answers when it is stored.",
        params: v.strictObject({ container, wait: flagParam(), pause: flagParam() }),
        result: containerService.BackupCreatedSchema,
        changes: true,
        run: async ({ caller, params, progress }, signal) => {
          const entry = chosen(caller, params.container);
          const { namespace, containerId } = entry;
          const pause = params.pause ? { pause: { maxMs: pauseMs, otherwise: "live" as const } } : {};
          let backup = await backups.create(
            { namespace, containerId, trigger: "manual", ...pause },
            {
              signal,
              onProgress: ({ phase, bytes, total = 0 }) => progress({ phase, done: bytes, total }),
            },
          );
          if (params.wait) {
            for await (const each of backups.watch(backup.id, signal)) {
              backup = each;
              progress({ phase: each.state, message: each.failure ?? "" });
            }
            if (backup.state !== "stored")
              throw errors.BACKUP_NOT_STORED(
                `backup ${backup.id} is ${backup.state}: ${backup.failure ?? "no reason given"}; its files stay on the node and storing them is tried again`,
                { details: { backup: backup.id } },
              );
          }
          return create(containerService.BackupCreatedSchema, { backup: backupMessage(backup) });
        },
      }),
      list: defineAction({
        description: "Lists backups, newest first.",
        params: v.strictObject({ container }),
        result: containerService.BackupListSchema,
        run: async ({ caller, params }, signal) => {
          const entries = params.container === undefined ? own(caller) : [chosen(caller, params.container)];
          const found = ofChains(await backups.list(signal), entries).slice(0, mostListed);
          return create(containerService.BackupListSchema, { backups: found.map(backupMessage) });
        },
      }),
      status: defineAction({
        description: "Shows each container with its last backup.",
        params: v.strictObject({}),
        result: containerService.BackupStatusSchema,
        run: async ({ caller }, signal) => {
          const all = await backups.list(signal);
          return create(containerService.BackupStatusSchema, {
            containers: own(caller).map((entry) => {
              const [last, ...others] = ofChains(all, [entry]);
              return {
                container: containerMessage(entry),
                ...(last && { last: backupMessage(last) }),
                count: last === undefined ? 0 : others.length + 1,
              };
            }),
          });
        },
      }),
      restore: defineAction({
        description: "Starts a container that has not been started yet with the files of an earlier backup.",
        params: v.strictObject({ backup: nameParam(), container }),
        result: containerService.RestoreRequestedSchema,
        changes: true,
        run: async ({ caller, params }, signal) => {
          const { namespace, containerId } = chosen(caller, params.container);
          const wanted = ofChains(await backups.list(signal), own(caller)).find(
            ({ id }) => id === params.backup,
          );
          // A backup of somebody else is as unknown as one that never was.
          if (wanted === undefined)
            throw errors.BACKUP_NOT_FOUND(`there is no backup ${params.backup} of this pod`, {
              details: { backup: params.backup },
            });
          await backups.requestRestore({ backupId: backupId(wanted.id), namespace, containerId }, signal);
          return create(containerService.RestoreRequestedSchema, {
            backup: wanted.id,
            container: containerId,
            effect: "the container starts with these files",
          });
        },
      }),
    },
  };
}

const own = (caller: ContainerCaller): readonly KnownEntry[] => caller.containers.filter(isKnown);

const nameOf = ({ pod, containerId }: KnownEntry): string => pod?.container ?? containerId;

/** The container that is named, else the one that calls, else the only one. */
function chosen(caller: ContainerCaller, name: string | undefined): KnownEntry {
  const entries = own(caller);
  const calling = caller.container;
  const found =
    name === undefined
      ? calling !== undefined && isKnown(calling)
        ? calling
        : entries.length === 1
          ? entries[0]
          : undefined
      : entries.findLast((entry) => nameOf(entry) === name || entry.containerId === name);
  if (found !== undefined) return found;
  const names = entries.map(nameOf).join(", ");
  throw errors.CONTAINER_NOT_CAPTURABLE(
    name === undefined
      ? `say which container: ${names === "" ? "the agent knows none of this pod" : names}`
      : `this pod has no container ${name}; it has ${names}`,
  );
}

function ofChains(backups: readonly Backup[], entries: readonly KnownEntry[]): readonly Backup[] {
  const chains = entries.map(chainOf);
  return backups.filter((backup) => chains.some((chain) => isSameChain(chain, chainOf(backup))));
}

const timestamp = (nanoseconds: bigint) => timestampFromMs(Number(nanoseconds / 1_000_000n));

const containerMessage = (entry: KnownEntry) => ({
  id: entry.containerId,
  name: nameOf(entry),
  image: entry.image ?? "",
  state: entry.state,
  failure: entry.failure ?? "",
  createdAt: timestamp(entry.createdAt),
});

const backupMessage = (backup: Backup): MessageInitShape<typeof containerService.ContainerBackupSchema> => ({
  id: backup.id,
  container: backup.pod?.container ?? backup.containerId,
  image: backup.image ?? "",
  state: backup.state,
  trigger: backup.trigger,
  digest: backup.digest ?? "",
  bytes: backup.size ?? 0n,
  parent: backup.parent ?? "",
  failure: backup.failure ?? "",
  createdAt: timestamp(backup.createdAt),
});
