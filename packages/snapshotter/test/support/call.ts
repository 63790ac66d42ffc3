import { snapshotKey, type CallContext, type Caller, type SnapshotKey } from "@aeon/core";

/** The context of a call that nobody cancels. */
export const callBy = (caller: Caller = {}): CallContext => ({
  caller,
  signal: new AbortController().signal,
});

export const key = (value: string): SnapshotKey => snapshotKey(value);
