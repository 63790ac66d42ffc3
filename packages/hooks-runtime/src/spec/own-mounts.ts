const ownMounts = new Set([
  "/etc/hostname",
  "/etc/hosts",
  "/etc/resolv.conf",
  "/dev/shm",
  "/dev/termination-log",
  "/run/.containerenv",
  "/run/secrets",
]);

/** True for a mount that engines add to every container. */
export const isOwnMount = (destination: string): boolean => ownMounts.has(destination);
