import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";

/** Containers, containerd and controller see a machine that has cgroup v2 only, with the controllers that v1 left. */
const alone = 'umount -R /sys/fs/cgroup 2>/dev/null; mount -t cgroup2 none /sys/fs/cgroup && exec "$@"';

test("on cgroup v2 inner containers stay below their main one, with its devices, and leave nothing", async () => {
  const program = [
    process.execPath,
    "--conditions=@aeon/source",
    "--disable-warning=ExperimentalWarning",
    join(import.meta.dirname, "cgroup2-process.ts"),
  ];
  const { stdout } = await promisify(execFile)("unshare", ["--mount", "sh", "-c", alone, "sh", ...program]);
  const seen: Record<string, unknown> = JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
  const main = `/${String(seen["namespace"])}/unified/aeon-dind-[0-9a-f]+`;
  expect(seen).toMatchObject({ version: "2 cgroupfs\n", state: "running", again: "again\n", left: [] });
  expect(seen["dockerd"]).toMatch(new RegExp(`^${main}/init$`));
  expect(seen["group"]).toMatch(new RegExp(`^${main}/docker/[0-9a-f]{64}$`));
  // The first device is nobody's here, the second everybody's.
  expect(seen["door"]).toBe("closed\nwrites\n");
}, 240_000);
