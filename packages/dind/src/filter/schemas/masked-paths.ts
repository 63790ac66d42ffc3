import { denied } from "../refusal.ts";
import { list, text, refine } from "../schema/schema.ts";

/** What every engine masks; `docker inspect` shows it, and clients send it back. */
const always = {
  masked: ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/scsi", "/sys/firmware"],
  readonly: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
};

/** A list that only says what holds anyway is left out, so that dockerd's own list holds. */
const atLeast = (paths: readonly string[]) =>
  refine(list(text()), (value, { at }) => {
    const given = new Set(Array.isArray(value) ? value : []);
    if (!paths.every((path) => given.has(path)))
      throw denied(at, "masks of /proc and /sys cannot be taken away; leave the list out");
    return undefined;
  });

export const maskedPaths = atLeast(always.masked);
export const readonlyPaths = atLeast(always.readonly);
