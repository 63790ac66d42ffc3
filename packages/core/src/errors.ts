import { defineErrors } from "./error.ts";

export const errors = defineErrors({
  DATABASE_LOCKED: {
    code: "failed-precondition",
    when: "A second process opens a database that an agent holds.",
    remedy: "Stop the other agent, or give this one another root.",
  },
  DATABASE_NEWER: {
    code: "failed-precondition",
    when: "A database was written by a later version of aeon.",
    remedy: "Install that version again, or restore the folder from before the upgrade.",
  },
  DATABASE_UNUSABLE: {
    code: "unavailable",
    when: "A database file cannot be opened, created or understood.",
    remedy: "Check the folder's permissions, its file system and the disk named in the message.",
  },
  DATABASE_FULL: {
    code: "resource-exhausted",
    when: "The disk (or the quota) has no room for a change; nothing was changed.",
    remedy: "Free space on the file system of the root; the next operation works without a restart.",
  },
  DATABASE_WRITE_FAILED: {
    code: "unavailable",
    when: "The disk refused a change, or the file system became read-only; nothing was changed.",
    remedy: "Check the kernel log and the disk, then repeat the operation.",
  },
  DATABASE_FLUSH_FAILED: {
    code: "data-loss",
    when: "The kernel could not bring changes to disk; the database refuses work until aeon is restarted.",
    remedy: "Check the kernel log and the disk, then restart the agent.",
  },
  DATABASE_CLOSED: {
    code: "unavailable",
    when: "Something uses a database while the agent is stopping.",
    remedy: "Repeat the operation once the agent runs again.",
  },
  LINUX_CALL_UNUSABLE: {
    code: "failed-precondition",
    when: "At start, a Linux call that aeon needs does not work in the root folder.",
    remedy:
      "Run as root on Linux 5.6 or later with /proc mounted, and put the root on ext4, xfs, btrfs or tmpfs.",
  },
  CONFIG_UNREADABLE: {
    code: "invalid-argument",
    when: "The configuration file cannot be read or is no TOML.",
    remedy: "Check the path, its permissions and the line named in the message.",
  },
  CONFIG_INVALID: {
    code: "invalid-argument",
    when: "A configuration key is unknown or its value is not allowed.",
    remedy: "Correct each key the message lists; `aeon config check` repeats the check.",
  },
});
