import { readFileSync } from "node:fs";
import { release } from "node:os";
import { failure, good, warning, type Finding } from "./finding.ts";

/** Kernel, file systems it knows, and user namespaces. */
export function checkKernel(): readonly Finding[] {
  const systems = fileSystems(read("/proc/filesystems"));
  return [
    kernelRelease(release()),
    systems.has("overlay")
      ? good("kernel.overlay", "overlayfs is there")
      : failure(
          "kernel.overlay",
          "the kernel has no overlayfs",
          "modprobe overlay, and name it in /etc/modules-load.d",
        ),
    systems.has("erofs")
      ? good("kernel.erofs", "EROFS is there")
      : warning(
          "kernel.erofs",
          "the kernel has no EROFS",
          "modprobe erofs, if restored layers shall be images",
        ),
    userNamespaces(read("/proc/sys/user/max_user_namespaces")),
  ];
}

/** openat2(2), which every careful look-up needs, came with 5.6; id-mapped layers with 5.19. */
export function kernelRelease(text: string): Finding {
  const [major = 0, minor = 0] = text.split(".").map((part) => Number.parseInt(part, 10));
  const number = major * 1000 + minor;
  if (number < 5006) return failure("kernel.release", `Linux ${text}`, "use Linux 5.6 or later");
  if (number < 5019)
    return warning(
      "kernel.release",
      `Linux ${text}`,
      "use Linux 5.19 or later for pods with user namespaces",
    );
  return good("kernel.release", `Linux ${text}`);
}

/** Names in /proc/filesystems. */
export const fileSystems = (text: string): ReadonlySet<string> =>
  new Set(text.split("\n").map((line) => line.split("\t").at(-1) ?? ""));

function userNamespaces(text: string): Finding {
  const most = Number(text.trim());
  return most > 0
    ? good("kernel.user-namespaces", `${most} user namespaces are allowed`)
    : warning(
        "kernel.user-namespaces",
        "user namespaces are switched off",
        "sysctl user.max_user_namespaces=15000, for pods with user namespaces",
      );
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
