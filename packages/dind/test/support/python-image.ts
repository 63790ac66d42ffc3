import { spawn } from "node:child_process";
import { once } from "node:events";
import { fetchPackageTree } from "@aeon/standalone";
import { testCache } from "@aeon/testkit";
import { docker } from "./cli.ts";
import type { FilteredDocker } from "./filtered-docker.ts";

/** Makes an image with Debian's python3, docker-py, and the programs beside this file at its root. */
export async function importPython(pod: FilteredDocker, name: string, command = ""): Promise<void> {
  const { root } = await fetchPackageTree({
    cache: testCache,
    suite: "trixie",
    name: "python3-docker",
    with: ["base-files", "ca-certificates"],
  });
  const programs = ["use-docker.py", "use-agent.py", "ryuk.py"];
  const tar = spawn("tar", ["-C", root, "-c", ".", "-C", import.meta.dirname, ...programs], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const change = command === "" ? [] : ["-c", `CMD ${command}`];
  const { code, text } = await docker(pod, ["import", ...change, "-", name], {
    hold: async ({ stdin }) => {
      tar.stdout.pipe(stdin);
      await once(stdin, "finish");
    },
  });
  if (code !== 0) throw new Error(text);
}
