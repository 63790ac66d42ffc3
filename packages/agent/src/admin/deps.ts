import type { ContainerRegistry, Health, Snapshotter } from "@aeon/core";
import type { DindService } from "@aeon/dind";
import type { HooksService } from "@aeon/hooks-runtime";
import type { BackupService } from "@aeon/rootfs-backup";

/** Where a plugin stands in its life. */
export type PluginState = "starting" | "ready" | "failed" | "stopped";

export interface PluginStatus {
  readonly name: string;
  readonly state: PluginState;
  /** Why it last failed. */
  readonly failure?: string;
  readonly restarts: number;
  readonly checks: readonly { readonly name: string; readonly health: Health }[];
}

export interface SocketStatus {
  readonly name: string;
  /** Absolute path, or host:port. */
  readonly address: string;
}

/** What containerd says of itself, or why it cannot be asked. */
export type ContainerdStatus = { readonly address: string } & (
  | { readonly connected: true; readonly version: string; readonly revision: string }
  | { readonly connected: false; readonly failure: string }
);

/**
 * What the admin service looks at. The functions are asked anew for every call, because plugins come and go;
 * they return undefined while the part is not running.
 */
export interface AdminDeps {
  readonly version: string;
  readonly startedAt: Date;
  /** Folder for durable state. */
  readonly root: string;
  /** Folder for run-time state. */
  readonly state: string;
  plugins(): readonly PluginStatus[];
  sockets(): readonly SocketStatus[];
  containerd(signal: AbortSignal): Promise<ContainerdStatus>;
  /** The backend below all hooks. */
  snapshotter(): Snapshotter | undefined;
  containers(): ContainerRegistry | undefined;
  backups(): BackupService | undefined;
  dind(): DindService | undefined;
  hooks(): HooksService | undefined;
}
