import type { ContainerState } from "@aeon/core";

/** The states that each state may move to; staying is always allowed. */
const moves: Readonly<Record<ContainerState, readonly ContainerState[]>> = {
  preparing: ["restoring", "ready", "backing-up", "failed"],
  restoring: ["ready", "backing-up", "failed"],
  ready: ["backing-up", "failed"],
  "backing-up": ["backed-up", "failed"],
  // A running container is backed up more than once.
  "backed-up": ["backing-up", "failed"],
  failed: ["restoring", "ready", "backing-up"],
};

/** True when an entry may go from one state to the other. */
export const mayMove = (from: ContainerState, to: ContainerState): boolean =>
  from === to || moves[from].includes(to);

export const isContainerState = (value: unknown): value is ContainerState =>
  typeof value === "string" && Object.hasOwn(moves, value);
