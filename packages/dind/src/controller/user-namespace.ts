import { closeSync, openSync, readFileSync } from "node:fs";
import { linux } from "@aeon/core";
import type { SpecIdMapping } from "@aeon/oci";

/** The user namespace of a main container's process. */
export interface MainUserNamespace {
  /** False for the one that aeon itself is in: the host's. */
  readonly isOwn: boolean;
  /** Whether the container's network belongs to it, and so to whoever has power in it. */
  readonly ownsNetwork: boolean;
  readonly uids: readonly SpecIdMapping[];
  readonly gids: readonly SpecIdMapping[];
}

export const userNamespaceSettings = ["auto", "always", "never"] as const;
export type UserNamespaceSetting = (typeof userNamespaceSettings)[number];

/** In which user namespace a DinD container runs. */
export type Isolation =
  | {
      readonly kind: "user-namespace";
      /** Process in the user namespace that is joined. */
      readonly pid: number;
      readonly uids: readonly SpecIdMapping[];
      readonly gids: readonly SpecIdMapping[];
    }
  | {
      readonly kind: "reduced-privileges";
      /** Why it is in none of its own. */
      readonly reason: string;
    };

/** Reads it while the process runs. */
export function readUserNamespace(pid: number): MainUserNamespace {
  using files = new DisposableStack();
  const inodeOf = (fd: number): bigint => {
    files.defer(() => closeSync(fd));
    return linux.statDescriptorSync(fd).inode;
  };
  const own = inodeOf(openSync(`/proc/${pid}/ns/user`, "r"));
  const network = openSync(`/proc/${pid}/ns/net`, "r");
  inodeOf(network);
  return {
    isOwn: own !== inodeOf(openSync("/proc/self/ns/user", "r")),
    ownsNetwork: own === inodeOf(linux.openUserNamespaceOfSync(network)),
    uids: parseIdMap(readFileSync(`/proc/${pid}/uid_map`, "utf8")),
    gids: parseIdMap(readFileSync(`/proc/${pid}/gid_map`, "utf8")),
  };
}

/** Lines of `/proc/PID/uid_map`, as user_namespaces(7) has them. */
export const parseIdMap = (text: string): readonly SpecIdMapping[] =>
  text
    .trim()
    .split("\n")
    .flatMap((line) => {
      const [containerID, hostID, size] = line.trim().split(/\s+/).map(Number);
      return containerID === undefined || hostID === undefined || size === undefined
        ? []
        : [{ containerID, hostID, size }];
    });

/** Host id of what is id 0 inside. */
export const mappedRoot = (map: readonly SpecIdMapping[]): number =>
  map.find(({ containerID }) => containerID === 0)?.hostID ?? 0;

const reduced = (reason: string): Isolation => ({ kind: "reduced-privileges", reason });

/**
 * A DinD container joins its main container's user namespace when that has power over the network that both share. In one
 * of its own dockerd could neither make networks there nor let inner containers write to the main container's files: the
 * kernel gives the first to the namespace that owns the network, and overlayfs cannot show files with other ids.
 */
export function isolationOf(
  { pid, userNamespace }: { readonly pid: number; readonly userNamespace: MainUserNamespace },
  setting: UserNamespaceSetting,
): Isolation {
  const { isOwn, ownsNetwork, uids, gids } = userNamespace;
  if (setting === "never") return reduced("user-namespace is never");
  if (!isOwn)
    return reduced(
      "the container is in the host's user namespace, which owns its network and its files; give the pod hostUsers: false",
    );
  if (!ownsNetwork) return reduced("the container's network belongs to another user namespace than its own");
  return { kind: "user-namespace", pid, uids, gids };
}

/** That of a DinD container which runs already. */
export function isolationInForce(
  dind: number,
  main: { readonly pid: number; readonly userNamespace: MainUserNamespace },
  setting: UserNamespaceSetting,
): Isolation {
  const wanted = isolationOf(main, setting);
  const { isOwn, uids, gids } = readUserNamespace(dind);
  if (isOwn) return { kind: "user-namespace", pid: main.pid, uids, gids };
  return wanted.kind === "reduced-privileges"
    ? wanted
    : reduced("it was started with other settings; restart it");
}
