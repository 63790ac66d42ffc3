import { defineErrors } from "@aeon/core";

/** What can go wrong in this package, by reason. */
export const errors = defineErrors({
  HOOK_EXISTS: {
    code: "already-exists",
    when: "A snapshot hook is registered under a name that is in use.",
    remedy: "Give the hook another name, or dispose the earlier registration first.",
  },
  HOOK_INVALID: {
    code: "invalid-argument",
    when: "A snapshot hook is registered with a wrong name, order, time limit or failure policy.",
    remedy: "Correct the field that the message names.",
  },
  HOOK_FAILED: {
    code: "internal",
    when: "A snapshot hook that must succeed threw an unexpected error or returned garbage.",
    remedy: "Read the agent's log for the hook the message names and mend or remove that hook.",
  },
  HOOK_REFUSED: {
    code: "failed-precondition",
    when: "A snapshot hook refused the operation, or must succeed before a snapshot is removed and did not.",
    remedy: "Settle what the message says; containerd tries the removal again by itself.",
  },
  HOOK_UNAVAILABLE: {
    code: "unavailable",
    when: "A snapshot hook that must succeed passed its time limit or could not reach what it needs.",
    remedy: "Try again; look at /readyz and at the metric aeon_snapshot_hook_unsettled for hooks that hang.",
  },
});
