export type Level = "ok" | "warning" | "failure";

/** One thing that was looked at. JSON of `aeonctl doctor`: fields are added, never removed. */
export interface Finding {
  /** Such as `containerd.unpack`; scripts may rely on it. */
  readonly check: string;
  readonly level: Level;
  readonly found: string;
  /** What to do about it; null when nothing has to be done. */
  readonly fix: string | null;
}

export const good = (check: string, found: string): Finding => ({ check, level: "ok", found, fix: null });
export const warning = (check: string, found: string, fix: string): Finding => ({
  check,
  level: "warning",
  found,
  fix,
});
export const failure = (check: string, found: string, fix: string): Finding => ({
  check,
  level: "failure",
  found,
  fix,
});

/** Where a check looks. */
export interface Host {
  /** The agent's folder for durable state. */
  readonly root: string;
  /** Its folder for run-time state. */
  readonly state: string;
  readonly containerdConfig: string;
  /** containerd's program. */
  readonly containerd: string;
  readonly containerdAddress: string;
}
