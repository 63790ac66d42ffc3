import { join } from "node:path";

export interface EnterOptions {
  readonly tree: string;
  /** Empty folder of the caller's, for the root that is put together. */
  readonly folder: string;
  /** Folders of the host that are to be seen at the same places. */
  readonly shared: readonly string[];
}

/**
 * Words before a command that runs it on the tree as its root: in a mount namespace of its own, with the host's
 * devices, processes and cgroups, and with what it writes outside of the shared folders kept in memory.
 */
export function enterRoot({ tree, folder, shared }: EnterOptions): readonly string[] {
  const root = join(folder, "root");
  const script = `set -e
mkdir -p '${root}' '${folder}/layers'
mount -t tmpfs tmpfs '${folder}/layers'
mkdir '${folder}/layers/upper' '${folder}/layers/work'
mount -t overlay overlay -o 'lowerdir=${tree.replaceAll(":", "\\:")},upperdir=${folder}/layers/upper,workdir=${folder}/layers/work' '${root}'
cd '${root}'
mkdir -p proc sys dev tmp run mnt root etc
for name in proc sys dev; do mount --rbind /$name $name; done
mount -t tmpfs tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
for shared in ${shared.map((path) => `'${path}'`).join(" ")}; do mkdir -p ".$shared"; mount --rbind "$shared" ".$shared"; done
echo root:x:0:0:root:/root:/bin/sh >etc/passwd
echo root:x:0: >etc/group
ln -sf dash bin/sh
# Packages put programs into either folder, and look for others in the other one.
for name in bin/* sbin/*; do [ -e "usr/$name" ] || ln -s "/$name" "usr/$name"; done
ln -sf gawk usr/bin/awk
pivot_root . mnt
cd /
umount -l /mnt
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root GO111MODULE=off TERM=dumb
exec "$@"
`;
  return ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", script, "sh"];
}
