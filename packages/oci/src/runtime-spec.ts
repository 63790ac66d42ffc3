/** The parts of the OCI runtime specification (config.json) that aeon reads or writes; other members pass through. */

export interface SpecUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids?: readonly number[];
  readonly umask?: number;
}

export interface SpecCapabilities {
  readonly bounding?: readonly string[];
  readonly effective?: readonly string[];
  readonly inheritable?: readonly string[];
  readonly permitted?: readonly string[];
  readonly ambient?: readonly string[];
}

export interface SpecRlimit {
  readonly type: string;
  readonly hard: number;
  readonly soft: number;
}

export interface SpecProcess {
  readonly terminal?: boolean;
  readonly user: SpecUser;
  readonly args: readonly string[];
  readonly env?: readonly string[];
  readonly cwd: string;
  readonly capabilities?: SpecCapabilities;
  readonly rlimits?: readonly SpecRlimit[];
  readonly noNewPrivileges?: boolean;
  readonly oomScoreAdj?: number;
  readonly apparmorProfile?: string;
  readonly selinuxLabel?: string;
}

export interface SpecMount {
  readonly destination: string;
  readonly type?: string;
  readonly source?: string;
  readonly options?: readonly string[];
}

export type NamespaceType = "pid" | "network" | "ipc" | "uts" | "mount" | "user" | "cgroup" | "time";

export interface SpecNamespace {
  readonly type: NamespaceType;
  /** An existing namespace to join; a new one is made when absent. */
  readonly path?: string;
}

export interface SpecDevice {
  readonly path: string;
  readonly type: "c" | "b" | "u" | "p";
  readonly major?: number;
  readonly minor?: number;
  readonly fileMode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

export interface SpecDeviceRule {
  readonly allow: boolean;
  readonly type?: "a" | "c" | "b";
  /** Any number when absent. */
  readonly major?: number;
  readonly minor?: number;
  readonly access?: string;
}

export interface SpecResources {
  readonly devices?: readonly SpecDeviceRule[];
  readonly memory?: { readonly limit?: number; readonly swap?: number; readonly reservation?: number };
  readonly cpu?: {
    readonly shares?: number;
    readonly quota?: number;
    readonly period?: number;
    readonly cpus?: string;
    readonly mems?: string;
  };
  readonly pids?: { readonly limit: number };
  readonly unified?: Readonly<Record<string, string>>;
}

export interface SpecIdMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

export interface SpecHook {
  readonly path: string;
  readonly args?: readonly string[];
  readonly env?: readonly string[];
  /** Seconds. */
  readonly timeout?: number;
}

export type SpecHookStage =
  | "prestart"
  | "createRuntime"
  | "createContainer"
  | "startContainer"
  | "poststart"
  | "poststop";

export interface SpecLinux {
  readonly namespaces?: readonly SpecNamespace[];
  readonly uidMappings?: readonly SpecIdMapping[];
  readonly gidMappings?: readonly SpecIdMapping[];
  readonly devices?: readonly SpecDevice[];
  readonly cgroupsPath?: string;
  readonly resources?: SpecResources;
  readonly maskedPaths?: readonly string[];
  readonly readonlyPaths?: readonly string[];
  readonly rootfsPropagation?: string;
  readonly sysctl?: Readonly<Record<string, string>>;
  readonly seccomp?: unknown;
}

/** One container's configuration as runc and crun read it. */
export interface RuntimeSpec {
  readonly ociVersion: string;
  readonly process?: SpecProcess;
  readonly root?: { readonly path: string; readonly readonly?: boolean };
  readonly hostname?: string;
  readonly mounts?: readonly SpecMount[];
  readonly hooks?: Readonly<Partial<Record<SpecHookStage, readonly SpecHook[]>>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly linux?: SpecLinux;
}
