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
  SNAPSHOT_NOT_FOUND: {
    code: "not-found",
    when: "An operation names a snapshot or a parent that does not exist.",
    remedy: "Check the name with `aeonctl snapshots ls`; pull the image again if a layer is missing.",
  },
  SNAPSHOT_EXISTS: {
    code: "already-exists",
    when: "A snapshot is to be prepared, viewed or committed under a name in use.",
    remedy: "Choose another name, or remove the snapshot that has it.",
  },
  SNAPSHOT_PARENT_INVALID: {
    code: "invalid-argument",
    when: "A snapshot is to be made on a parent that is not committed, or committed with another parent than it has.",
    remedy: "Commit the parent first, or name the parent that the snapshot was prepared with.",
  },
  SNAPSHOT_NOT_COMMITTED: {
    code: "failed-precondition",
    when: "A snapshot is to be committed with a parent that is not committed.",
    remedy: "Commit the parent first.",
  },
  SNAPSHOT_NOT_ACTIVE: {
    code: "failed-precondition",
    when: "A view or a committed snapshot is to be committed.",
    remedy: "Only a snapshot made with Prepare can be committed.",
  },
  SNAPSHOT_NOT_MOUNTABLE: {
    code: "failed-precondition",
    when: "Mounts of a committed snapshot are asked for.",
    remedy: "Make a view or an active snapshot on top of it.",
  },
  SNAPSHOT_PRIVATE: {
    code: "failed-precondition",
    when: "Somebody but its plugin asks to remove a snapshot whose name begins with aeon/restored/.",
    remedy: "Leave it: the plugin removes it when no container needs it.",
  },
  SNAPSHOT_HAS_CHILDREN: {
    code: "failed-precondition",
    when: "A snapshot is to be removed that others are made on.",
    remedy: "Remove the snapshots on top of it first; containerd does by itself.",
  },
  SNAPSHOT_UPDATE_INVALID: {
    code: "invalid-argument",
    when: "An update names anything but labels.",
    remedy: "Use the paths `labels` or `labels.<key>`.",
  },
  SNAPSHOT_ID_MAP_INVALID: {
    code: "invalid-argument",
    when: "The id-map labels of a snapshot are malformed, incomplete, or do not map root.",
    remedy: "Give both maps as container:host:size ranges that include container id 0.",
  },
  SNAPSHOT_REQUEST_INVALID: {
    code: "invalid-argument",
    when: "A request lacks a name, or holds one that is too long or has a NUL character.",
    remedy: "Correct the field that the message names.",
  },
  SNAPSHOT_FILTER_INVALID: {
    code: "invalid-argument",
    when: "A List filter does not follow containerd's filter grammar.",
    remedy: 'Write selectors such as name==x or labels."a.b"~=/c/ joined by commas.',
  },
  SNAPSHOT_RECORD_DAMAGED: {
    code: "data-loss",
    when: "The snapshot database holds a record that aeon did not write.",
    remedy: "Restore the database from a backup, or start with an empty root and pull images again.",
  },
  SNAPSHOT_FILES_MISSING: {
    code: "internal",
    when: "The directory of a recorded snapshot has disappeared.",
    remedy: "Remove the snapshot; for an image layer, remove the image and pull it again.",
  },
  SNAPSHOT_DISK_FULL: {
    code: "resource-exhausted",
    when: "The snapshot root has no space, inodes or quota left, or too many files are open.",
    remedy: "Free space on the file system of the root.",
  },
  SNAPSHOT_ROOT_UNAVAILABLE: {
    code: "unavailable",
    when: "The snapshot root is missing, read-only or not accessible.",
    remedy: "Mount the root's file system again, writable, and retry.",
  },
  SNAPSHOT_ROOT_INVALID: {
    code: "failed-precondition",
    when: "The snapshot root has a path or a file system that overlayfs cannot use, or holds foreign snapshots.",
    remedy: "Choose an empty folder with a plain absolute path on a local file system with d_type.",
  },
  SNAPSHOT_IO_FAILED: {
    code: "internal",
    when: "The kernel refused a file operation on a snapshot for an unexpected reason.",
    remedy: "See the errno in the message and the kernel log.",
  },
  SNAPSHOTTER_CLOSED: {
    code: "unavailable",
    when: "A call reaches a snapshotter that has been closed.",
    remedy: "Retry when the agent is up again.",
  },
  MOUNT_OPTION_INVALID: {
    code: "invalid-argument",
    when: "A configured overlay mount option is malformed, or would break what aeon relies on.",
    remedy: "Remove the option that the message names.",
  },
  CONTAINER_UNKNOWN: {
    code: "not-found",
    when: "The state of a container is changed whose snapshot the container registry does not know.",
    remedy: "Use the snapshot key as `aeonctl containers ls` shows it; a removed container may be forgotten.",
  },
  CONTAINER_STATE_CONFLICT: {
    code: "failed-precondition",
    when: "A container is to go to a state that cannot follow the one it is in.",
    remedy: "Read the state again and decide anew; somebody else moved the container meanwhile.",
  },
  AUDIT_LOG_UNUSABLE: {
    code: "failed-precondition",
    when: "The audit log's file cannot be opened.",
    remedy: "Create the folder, allow writing there, or configure another path for `audit-log`.",
  },
  REMOTE_ADDRESS_MISSING: {
    code: "invalid-argument",
    when: "The remote backend is configured without the socket of the other snapshotter.",
    remedy: "Set `address` in the table [snapshotter].",
  },
  REMOTE_IS_CALLER: {
    code: "invalid-argument",
    when: "The remote backend is the very containerd that aeon serves.",
    remedy: "Use another containerd, a snapshotter process of its own, or the backend overlayfs.",
  },
});
