import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { fetchPackageTree } from "@aeon/standalone";
import { debianFile, testCache } from "@aeon/testkit";
import { enterRoot } from "./enter-root.ts";
import { toolkitPrograms } from "./hooks-toolkit.ts";

export interface PodmanRun {
  /** Path of the low-level runtime. */
  readonly runtime: string;
  /** Flags of podman itself. */
  readonly global?: readonly string[];
  /** Flags of `podman run`. */
  readonly flags?: readonly string[];
  readonly command: readonly string[];
}

export interface PodmanResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

// Without leave to raise limits podman's own defaults cannot be set; the events would go to a journal.
const options = "--cgroup-manager cgroupfs --events-backend none --storage-driver vfs".split(" ");
const limits = "--network none --ulimit nofile=1024:1024 --ulimit nproc=1000:1000".split(" ");

/** Debian's podman with state below a folder; answers how to run a container of a root file system with a shell. */
export async function podmanIn(folder: string): Promise<(run: PodmanRun) => Promise<PodmanResult>> {
  const { root: tree } = await fetchPackageTree({
    cache: testCache,
    name: "podman",
    with: "bash dash coreutils mount util-linux sed grep gawk base-files libstdc++6".split(" "),
  });
  const rootfs = join(folder, "rootfs");
  for (const name of ["bin", "proc", "dev", "sys", "run", "etc", "tmp"])
    await mkdir(join(rootfs, name), { recursive: true });
  await cp(await debianFile("busybox-static", "bin/busybox"), join(rootfs, "bin/busybox"));
  for (const name of ["sh", "true"]) await symlink("busybox", join(rootfs, "bin", name));
  const state = (name: string) => join(folder, "state", name);
  const places = ["--root", state("root"), "--runroot", state("run"), "--tmpdir", state("tmp")];
  const shared = [folder, testCache, dirname(process.execPath), toolkitPrograms];
  return async ({ runtime, global = [], flags = [], command }) => {
    const [unshare = "", ...enter] = enterRoot({ tree, folder: join(folder, "enter"), shared });
    const run = ["run", "--rm", ...limits, ...flags, "--rootfs", rootfs, ...command];
    const words = [...places, ...options, "--runtime", runtime, ...global, ...run];
    const child = spawn(unshare, [...enter, "podman", ...words], { stdio: ["ignore", "pipe", "pipe"] });
    const ended = once(child, "close");
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
    await ended;
    return { code: child.exitCode, stdout, stderr };
  };
}
