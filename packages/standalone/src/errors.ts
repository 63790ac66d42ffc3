import { defineErrors } from "@aeon/core";

/** What can go wrong while a private containerd is fetched, started and stopped. */
export const errors = defineErrors({
  NOT_ROOT: {
    code: "permission-denied",
    when: "A private containerd was asked for by a user that is not root.",
    remedy: "Run the command as root.",
  },
  PACKAGE_SOURCE_MISSING: {
    code: "failed-precondition",
    when: "The machine's apt configuration names no Debian mirror, or apt is not installed.",
    remedy: "Add a Debian mirror to /etc/apt/sources.list, or put containerd, ctr and runc on PATH.",
  },
  PACKAGE_UNAVAILABLE: {
    code: "unavailable",
    when: "A Debian package that is needed is neither cached nor to be had from the machine's mirror.",
    remedy: "Check the network and the mirror, or put the named program on PATH.",
  },
  PROGRAM_FAILED: {
    code: "internal",
    when: "A program that was started ended with an error.",
    remedy: "Read the program's own message, which is quoted.",
  },
  PROGRAM_MISSING: {
    code: "failed-precondition",
    when: "A program that is needed is not installed.",
    remedy: "Install the Debian package that is named.",
  },
  FOLDER_PATH_TOO_LONG: {
    code: "invalid-argument",
    when: "The folder's path is so long that a Unix socket in it would exceed the kernel's limit of 107 bytes.",
    remedy: "Choose a shorter folder with --root.",
  },
  FOLDER_IN_USE: {
    code: "failed-precondition",
    when: "Another aeon runs on the same folder.",
    remedy: "Stop the other one, or choose another folder with --root.",
  },
  CONTAINERD_START_FAILED: {
    code: "unavailable",
    when: "containerd ended or did not answer in time after it was started.",
    remedy: "Read the end of its log, which is quoted.",
  },
  AGENT_START_FAILED: {
    code: "unavailable",
    when: "The agent ended or did not become ready in time after it was started.",
    remedy: "Read the end of its log, which is quoted.",
  },
  FOLDER_NOT_CLEAN: {
    code: "internal",
    when: "Mounts or processes of a private containerd were still there after it was stopped.",
    remedy: "Unmount or end what is named; a process outside may hold it open.",
  },
});
