import { createHash } from "node:crypto";
import { join } from "node:path";

/** A main container. */
export interface MainContainer {
  /** containerd namespace. */
  readonly namespace: string;
  readonly id: string;
}

/** Where everything of one DinD container is; depends on the main container's name alone, so that it can be found again. */
export interface Places {
  /** Short name, unique on the node. */
  readonly key: string;
  /** containerd id of the DinD container. */
  readonly container: string;
  /** Folder for run-time state, on the host. */
  readonly state: string;
  /** Mounted at `/run/aeon` in D: dockerd's socket and log. */
  readonly run: string;
  /** Mounted at `/etc/docker` in D, which cannot change it: settings, firewall rules. */
  readonly config: string;
  /** Mounted at `/run/aeon-filtered` in D: where inner containers find the filtered socket. */
  readonly filtered: string;
  /** Mounted at `/run/aeon-drivers` in D: files that the main container's GPU driver is mounted on. */
  readonly drivers: string;
  /** Holds the pins' mount points where D is in a user namespace. */
  readonly pins: string;
  /** dockerd's own socket as the host sees it. */
  readonly upstream: string;
  /** Where dockerd makes it; it moves to `upstream` once it serves, so that clients never meet one that does not. */
  readonly starting: string;
  readonly daemonLog: string;
  readonly filterConfig: string;
  readonly filterControl: string;
  readonly filterState: string;
  readonly filterLog: string;
  readonly auditFile: string;
  /** Sparse file with dockerd's file system, and where it is mounted. */
  readonly disk: string;
  readonly data: string;
  /** Folder for durable state. */
  readonly root: string;
}

/** Places in D. */
export const inside = {
  run: "/run/aeon",
  config: "/etc/docker",
  data: "/var/lib/docker",
  mainRoot: "/mainroot",
  pins: "/run/aeon-pins",
  filtered: "/run/aeon-filtered",
  drivers: "/run/aeon-drivers",
} as const;

/** Labels of D's record in containerd that tie it to its main container. */
export const dindLabels = { main: "io.aeon.dind.main", key: "io.aeon.dind.key" } as const;

/** Name of aeon's own table in the main container's firewall. */
export const firewallTable = "aeon_dind";

export function placesOf(
  folders: { readonly root: string; readonly state: string },
  main: MainContainer,
): Places {
  const key = createHash("sha256").update(`${main.namespace}\0${main.id}`).digest("hex").slice(0, 12);
  const state = join(folders.state, key);
  const root = join(folders.root, key);
  return {
    key,
    container: `aeon-dind-${key}`,
    state,
    run: join(state, "run"),
    config: join(state, "etc"),
    filtered: join(state, "filtered"),
    drivers: join(state, "drivers"),
    pins: join(state, "pins"),
    upstream: join(state, "run", "docker.sock"),
    starting: join(state, "run", "dockerd.sock"),
    daemonLog: join(state, "run", "dockerd.log"),
    filterConfig: join(state, "filter.json"),
    filterControl: join(state, "control.sock"),
    filterState: join(root, "filter"),
    filterLog: join(state, "filter.log"),
    auditFile: join(root, "audit.jsonl"),
    disk: join(root, "data.img"),
    data: join(root, "data"),
    root,
  };
}
