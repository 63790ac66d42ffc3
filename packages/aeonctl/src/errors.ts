import { defineErrors } from "@aeon/core";

/** What `aeonctl` itself can fail with; failures of the agent pass through with the agent's reason. */
export const errors = defineErrors({
  AGENT_UNREACHABLE: {
    code: "unavailable",
    when: "Nothing answers on the admin socket: the agent is not running, or it runs with another state folder.",
    remedy: "Start the agent, or name its socket with --address or AEON_ADDRESS.",
  },
  AGENT_FORBIDDEN: {
    code: "permission-denied",
    when: "The admin socket is there, but the user may not open it.",
    remedy: "Run aeonctl as the user that runs the agent, usually root.",
  },
  AGENT_SILENT: {
    code: "deadline-exceeded",
    when: "The agent accepted a call and did not answer it in time.",
    remedy: "See the agent's log for what it is busy with, or give it more time with --timeout.",
  },
  AGENT_FOREIGN: {
    code: "unimplemented",
    when: "Something answers on the socket, but does not speak aeon's admin API.",
    remedy: "Name the admin socket with --address; make sure agent and aeonctl are of the same version.",
  },
  BACKUP_FAILED: {
    code: "failed-precondition",
    when: "`aeonctl backups wait` saw the backup fail. Its files are still safe on the host and it is tried again.",
    remedy: "Remove the cause that the message names, then wait again.",
  },
  DRAIN_INCOMPLETE: {
    code: "failed-precondition",
    when: "`aeonctl backup drain` ended while containers had no stored backup, or backups of this host were not stored.",
    remedy: "Remove the causes that the message names and drain again before the host is taken away.",
  },
  DOCTOR_FOUND: {
    code: "failed-precondition",
    when: "`aeonctl doctor` found something that keeps aeon from working.",
    remedy: "Do what the findings say.",
  },
  INTERRUPTED: {
    code: "canceled",
    when: "A command that works on a store itself was interrupted.",
    remedy: "Run it again.",
  },
  VERIFY_FAILED: {
    code: "data-loss",
    when: "`aeonctl backup verify` found backups that are not what was stored.",
    remedy: "Restore others; check the disk or the bucket that holds the store.",
  },
  STORE_DAMAGED: {
    code: "data-loss",
    when: "A store was listed that holds names of backups which cannot be read.",
    remedy: "See all of them with `aeonctl backup verify`; list single tenants meanwhile.",
  },
});
