import { join } from "node:path";
import { unusedFiles, type BomPart, type DebianImageRecipe } from "@aeon/dind";

export interface AgentPrograms {
  /** Folder of the bundled agent. */
  readonly agent: string;
  /** Folder of the bundled aeonctl. */
  readonly aeonctl: string;
  /** Node's program. */
  readonly node: string;
  /** npm packages in the bundles, and Node. */
  readonly parts: readonly BomPart[];
}

const home = "usr/lib/aeon";
const script = (file: string): string => `#!/bin/sh\nexec /${home}/node /${home}/${file} "$@"\n`;

/** The agent's own programs with the few of Debian that it starts. */
export const agentRecipe = ({ agent, aeonctl, node, parts }: AgentPrograms): DebianImageRecipe => ({
  suite: "trixie",
  // mkfs.ext4 and mounts for the disks of Docker, mkfs.erofs for layers, nsenter for the host's containerd.
  packages: [
    "base-files",
    "ca-certificates",
    "coreutils",
    "dash",
    "e2fsprogs",
    "erofs-utils",
    "libstdc++6",
    "mount",
    "util-linux",
  ],
  pruned: [
    ...unusedFiles,
    "usr/share/i18n",
    "usr/share/bug",
    "var/cache",
    "var/log",
    // Written by whatever ran from the bundle, and different each time.
    join(home, "agent/compile-cache"),
    join(home, "aeonctl/compile-cache"),
  ],
  links: { "usr/bin/sh": "dash", "var/run": "/run" },
  files: {
    "etc/passwd":
      "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    [join(home, "package.json")]: '{"type":"module"}\n',
  },
  programs: {
    "usr/bin/aeon": script("agent/aeon.js"),
    "usr/bin/aeonctl": script("aeonctl/aeonctl.js"),
  },
  folders: [
    "etc/aeon",
    "var/lib/aeon",
    "run/aeon",
    "run/containerd",
    "run/nri",
    "etc/containerd",
    "etc/container-hooks",
    "proc",
    "sys",
    "dev",
    "tmp",
    "root",
  ],
  copies: { [join(home, "agent")]: agent, [join(home, "aeonctl")]: aeonctl, [join(home, "node")]: node },
  sbomPath: "usr/share/aeon/agent.spdx.json",
  // Not the script, so that signals reach the agent itself.
  entrypoint: [`/${home}/node`, `/${home}/agent/aeon.js`],
  labels: () => ({ "io.aeon.agent.sbom": "/usr/share/aeon/agent.spdx.json" }),
  parts,
  tool: "aeon image build",
});
