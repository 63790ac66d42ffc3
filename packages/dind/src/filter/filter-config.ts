/**
 * The contract between the controller and a filter process.
 *
 * The controller starts `filter/main.ts FILE` (in a bundle `dind-filter.cjs FILE`), detached, as root on the host, with
 * the listening sockets as inherited descriptors; FILE holds a {@link FilterConfig} as JSON, mode 0600. The process
 * prints one line to standard output when it accepts connections ({@link readyLine}) and from then on writes only its
 * audit file. It outlives the agent: a new agent finds it by `controlSocket` and talks HTTP to it, see
 * {@link ControlCalls}.
 *
 * When dockerd (or the whole DinD container) was replaced: start its first process with a mount namespace and with
 * `/mainroot` and the folder of pins in place, call `PUT /daemon` with its pid, wait for the answer, and only then start
 * dockerd, whose restart policies begin containers at once.
 */
export interface FilterConfig {
  readonly version: 1;
  /** For logs, audit lines and metrics: which main container this is. */
  readonly container: {
    readonly id: string;
    /** containerd namespace, or the pod's namespace. */
    readonly namespace: string;
    /** Pod class of the policy file; empty when there is none. */
    readonly class?: string;
  };
  /** Listening Unix sockets among the inherited descriptors, such as `[3]`; they are never closed by path. */
  readonly listeners: readonly number[];
  /** dockerd's socket as the filter reaches it, at most 107 bytes: a folder on the host that is mounted into D. */
  readonly upstream: string;
  /** D as the filter sees it; absent until D was started for the first time (`PUT /daemon` tells it later). */
  readonly daemon?: DaemonConfig;
  /** Where the socket that the main container sees is, so that binding it gives the filtered socket again. */
  readonly socketPaths: readonly string[];
  /** Path in D's mount namespace of a mount of the filtered socket; binds of `socketPaths` get it. Absent: M's own tree is asked. */
  readonly filteredSocket?: string;
  readonly network: NetworkConfig;
  /** Cgroup parent of every container and build, in D's cgroup namespace. Default `/docker`. */
  readonly cgroupParent?: string;
  /** Policy file; absent: the built-in rules. Read again when it changes. */
  readonly policyFile?: string;
  /** Folder on the host, 0700, for what must survive this process: pins. */
  readonly stateFolder: string;
  /** JSON lines, one per decision; moved to `.1` at `auditLimit` bytes. Absent: no audit. */
  readonly auditFile?: string;
  readonly auditLimit?: number;
  /** Unix socket for the controller, 0600, at most 107 bytes; replaced when it is stale. */
  readonly controlSocket: string;
  readonly limits?: Partial<FilterLimits>;
  /** Devices and GPUs of M that inner containers may have. */
  readonly devices?: DeviceConfig;
}

export interface DaemonConfig {
  /** A process in D's mount namespace, as the filter's own /proc shows it. */
  readonly pid: number;
  /** Clone of M's mount tree in D's mount namespace. */
  readonly mainRoot: string;
  /** Folder in D's mount namespace for pins: a mount of its own (tmpfs) that only D sees; it has to exist. */
  readonly pinFolder: string;
}

/** bridge: docker0 and user networks live in the pod's netns; shared: every container joins it; strict: only `none` and `container:`. */
export type NetworkPolicy = "bridge" | "shared" | "strict";

export interface NetworkConfig {
  readonly policy: NetworkPolicy;
  /** `--network host`, which is the pod's own network; default true except for strict. */
  readonly host?: boolean;
  /** Pools that subnets of user networks have to lie in; none given: any private range but those in `reserved`. */
  readonly pools?: readonly string[];
  /** Subnets that no user network may overlap: pod and service CIDRs. */
  readonly reserved?: readonly string[];
  /** Ports of the pod that no container may publish. */
  readonly reservedPorts?: readonly number[];
  /** Address that `host-gateway` stands for; absent: dockerd's own. */
  readonly hostGateway?: string;
}

export interface DeviceConfig {
  /** Host paths of device nodes that M has and inner containers may be given under the same path. */
  readonly nodes?: readonly string[];
  /** CDI names that `--gpus` stands for. Empty or absent: `--gpus` is refused. */
  readonly gpus?: readonly string[];
}

export interface FilterLimits {
  /** Open client connections. Default 1000. */
  readonly connections: number;
  /** Requests in progress. Default 500. */
  readonly requests: number;
  /** Bytes of a JSON body. Default 4 MiB. */
  readonly jsonBytes: number;
  /** Bytes of a streamed upload (load, build, cp). Default 64 GiB. */
  readonly uploadBytes: number;
  /** Pins in force. Default 1000. */
  readonly pins: number;
  /** Bytes of /dev/shm of one container. Default 1 GiB. */
  readonly shmBytes: number;
  /** Highest soft and hard `nofile`, `nproc` and so on of `--ulimit`. Default 1048576. */
  readonly ulimit: number;
}

/** What the process prints, alone on a line, when it serves. */
export const readyLine = "ready";

/**
 * HTTP calls on the control socket; bodies and answers are JSON, failures `{"message": …}`.
 * - `GET /status` → {@link FilterStatus}
 * - `GET /metrics` → Prometheus text
 * - `PUT /daemon` {@link DaemonConfig} → `{"pins": n, "lost": [paths]}` after all pins are in place in that namespace
 * - `POST /reload` → reads configuration file (network, limits, devices, policy) again
 * - `POST /handover` {@link HandoverRequest} → starts the successor with the listeners; answers when that one serves.
 *   The old process ends by itself when its last stream has ended.
 * - `POST /stop` {@link StopRequest} → releases all pins, answers and ends.
 * - `GET /alive` → an answer that ends when this process does, or has handed over.
 */
export interface ControlCalls {
  readonly "GET /status": { readonly answer: FilterStatus };
  readonly "PUT /daemon": {
    readonly body: DaemonConfig;
    readonly answer: { readonly pins: number; readonly lost: readonly string[] };
  };
  readonly "POST /reload": { readonly answer: Record<string, never> };
  readonly "POST /handover": { readonly body: HandoverRequest; readonly answer: { readonly pid: number } };
  readonly "POST /stop": { readonly body?: StopRequest; readonly answer: Record<string, never> };
}

export interface StopRequest {
  /** Their records stay, for a D that is started again on the same data. */
  readonly keepPins: boolean;
}

export interface HandoverRequest {
  /** Program and arguments of the new version, such as `[node, "dind-filter.cjs"]`. */
  readonly command: readonly string[];
  /** Its configuration file; `listeners` in it are ignored, the successor gets 3, 4, … */
  readonly config: string;
}

export interface FilterStatus {
  readonly pid: number;
  /** Milliseconds since the epoch. */
  readonly since: number;
  readonly connections: number;
  /** Hijacked and upgraded connections. */
  readonly streams: number;
  readonly requests: number;
  readonly pins: number;
  /** dockerd's API version, once known. */
  readonly apiVersion?: string;
  /** What is wrong with the policy file, whose last good version is in force. */
  readonly policyError?: string;
  /** Set after a handover: this process only drains. */
  readonly draining: boolean;
}
