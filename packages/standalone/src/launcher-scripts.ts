import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { containerdPaths } from "./containerd-config.ts";
import { shellWord } from "./shell-word.ts";
import { standalonePaths } from "./standalone-paths.ts";

/** Writes `bin/ctr` and `bin/aeonctl`, which know the folder's sockets and take aeon as snapshotter. */
export async function writeLaunchers(root: string, ctr: string, aeonctl: string): Promise<void> {
  const paths = standalonePaths(root);
  await mkdir(paths.bin, { recursive: true });
  await script(join(paths.bin, "ctr"), {
    env: { CONTAINERD_ADDRESS: containerdPaths(paths.containerd).socket, CONTAINERD_SNAPSHOTTER: "aeon" },
    command: [ctr],
  });
  await script(join(paths.bin, "aeonctl"), {
    env: { AEON_ADDRESS: paths.adminSocket },
    command: [process.execPath, aeonctl],
  });
}

async function script(
  path: string,
  { env, command }: { env: Readonly<Record<string, string>>; command: readonly string[] },
): Promise<void> {
  const lines = [
    "#!/bin/sh",
    ...Object.entries(env).map(([name, value]) => `[ -n "$${name}" ] || export ${name}=${shellWord(value)}`),
    `exec ${command.map(shellWord).join(" ")} "$@"`,
  ];
  await writeFile(path, `${lines.join("\n")}\n`, { mode: 0o755 });
}
