import type { DebianImageRecipe } from "./debian-image.ts";

/** What dockerd needs and nothing beyond; alternatives that would bring in systemd are named here. */
const packages: readonly string[] = [
  "docker.io",
  "systemd-standalone-sysusers",
  "base-files",
  "ca-certificates",
  "coreutils",
  "dash",
  "iptables",
  "nftables",
  "procps",
  "xz-utils",
];

/** Labels of the image's configuration by which the agent knows what is in it. */
export const imageLabels = {
  engine: "io.aeon.dind.engine",
  runc: "io.aeon.dind.runc",
  sbom: "io.aeon.dind.sbom",
} as const;

/** Where the bill of materials is in the image. */
export const sbomPath = "usr/share/aeon/dind.spdx.json";

/** Where the image's first program is. */
export const initPath = "usr/lib/aeon/dind-init";

/** Files of any Debian package that only people, package managers or compilers need; licences stay. */
export const unused: readonly string[] = [
  "usr/share/man",
  "usr/share/locale",
  "usr/share/info",
  "usr/share/bash-completion",
  "usr/share/zsh",
  "usr/share/fish",
  "usr/share/lintian",
  "usr/share/debconf",
  "usr/share/perl5",
  "usr/share/doc-base",
  "usr/lib/x86_64-linux-gnu/gconv",
  "usr/lib/systemd",
  "etc/init.d",
  "etc/systemd",
  "etc/kernel",
  "etc/apparmor.d",
];

/** Programs that a program on PATH is a link to; package scripts, which do not run, would make them. */
const links: Readonly<Record<string, string>> = {
  "usr/bin/sh": "dash",
  "usr/bin/awk": "mawk",
  "usr/sbin/iptables": "xtables-nft-multi",
  "usr/sbin/ip6tables": "xtables-nft-multi",
  "usr/sbin/iptables-save": "xtables-nft-multi",
  "usr/sbin/ip6tables-save": "xtables-nft-multi",
  "usr/sbin/iptables-restore": "xtables-nft-multi",
  "usr/sbin/ip6tables-restore": "xtables-nft-multi",
};

/** Small files that package scripts would write. */
const files: Readonly<Record<string, string>> = {
  "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
  "etc/group": "root:x:0:\nnogroup:x:65534:\ndocker:x:998:\n",
  "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
  // What is mounted over them; in a user namespace the runtime cannot make them.
  "etc/resolv.conf": "",
  "etc/hosts": "",
};

/**
 * First program of the container. On cgroup v2 it moves itself into a leaf, so that the controllers can be passed on
 * to what dockerd makes beside it; then dockerd runs below an init that reaps.
 */
const initScript = `#!/bin/sh
set -eu
# Appending, so that it can be emptied while dockerd writes.
: >/run/aeon/dockerd.log
exec >>/run/aeon/dockerd.log 2>&1
root=/sys/fs/cgroup
if [ -f "$root/cgroup.controllers" ]; then
  mkdir -p "$root/init"
  tries=0
  while [ "$tries" -lt 50 ]; do
    while read -r pid; do echo "$pid" > "$root/init/cgroup.procs" 2>/dev/null || :; done < "$root/cgroup.procs"
    enable=""
    for controller in $(cat "$root/cgroup.controllers"); do enable="$enable +$controller"; done
    echo "$enable" > "$root/cgroup.subtree_control" 2>/dev/null && break
    tries=$((tries + 1))
  done
fi
if [ -s /etc/docker/rules.nft ]; then nft -f /etc/docker/rules.nft; fi
# The pod's own limit on packet sizes is that of networks inside it.
device=$(awk '$2 == "00000000" {print $1; exit}' /proc/net/route)
mtu=$(cat "/sys/class/net/\${device:-lo}/mtu" 2>/dev/null || echo 1500)
[ "$mtu" -le 9000 ] || mtu=1500
[ "$#" -gt 0 ] || exit 64
exec docker-init -- dockerd "--mtu=$mtu" "--default-network-opt=bridge=com.docker.network.driver.mtu=$mtu" "$@"
`;

/** Packages, files and settings of the DinD image. */
export const dindRecipe: Omit<DebianImageRecipe, "labels"> = {
  suite: "forky",
  packages,
  pruned: unused,
  links,
  files,
  programs: { [initPath]: initScript },
  folders: ["mainroot", "var/lib/docker", "etc/docker", "run/aeon", "proc", "sys", "dev", "tmp"],
  sbomPath,
  entrypoint: [`/${initPath}`],
  tool: "aeonctl dind image build",
};
