import { closeSync } from "node:fs";
import { constants } from "node:os";
import { libcFunction } from "./libc.ts";

const prctl = libcFunction(
  "int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)",
);
const setParentDeathSignal = 1;

/** Asks the kernel to send this process a signal when its parent dies, so that no worker outlives its agent. */
export function signalOnParentDeath(signal: "SIGTERM" | "SIGKILL"): void {
  prctl.sync(signal, setParentDeathSignal, constants.signals[signal], 0, 0, 0);
}

/** Newer than the libcs that this runs on; their numbers are the same on every architecture. */
const pidfdOpen = libcFunction("long syscall(long number, int pid, uint32_t flags)", "pidfd_open");
const pidfdGetfd = libcFunction(
  "long syscall(long number, int pidfd, int fd, uint32_t flags)",
  "pidfd_getfd",
);
const numbers = { pidfdOpen: 434, pidfdGetfd: 438 } as const;

/** A copy of another process's descriptor, on the same open file or socket; needs the right to trace it. */
export function takeDescriptorSync(pid: number, fd: number): number {
  const handle = pidfdOpen.sync(`process ${pid}`, numbers.pidfdOpen, pid, 0);
  try {
    return pidfdGetfd.sync(`descriptor ${fd} of process ${pid}`, numbers.pidfdGetfd, handle, fd, 0);
  } finally {
    closeSync(handle);
  }
}
