export interface DockerdScriptOptions {
  /** Root file system with dockerd. */
  readonly tree: string;
  /** Folder of this daemon on the host; D sees it as `/host`. */
  readonly folder: string;
  /** Cgroup of its containers. */
  readonly cgroup: string;
  readonly flags: readonly string[];
}

/**
 * What the first process of a DinD stand-in does, in mount, pid, network, ipc and uts namespaces of its own: a root of
 * its own with `/mainroot`, a main container's tree with mounts of its own, then dockerd, again and again. dockerd starts
 * when somebody writes to the pipe `go`.
 */
export function dockerdScript({ tree, folder, cgroup, flags }: DockerdScriptOptions): string {
  const root = `${folder}/root`;
  return `set -e
mount --make-rprivate /
mount -t tmpfs tmpfs ${folder}/overlay
mkdir -p ${folder}/overlay/upper ${folder}/overlay/work
mount -t overlay overlay -o lowerdir=${escapeOverlay(tree)},upperdir=${folder}/overlay/upper,workdir=${folder}/overlay/work ${root}
cd ${root}
mkdir -p proc sys dev run tmp mnt host mainroot etc var/lib/docker root
echo root:x:0:0:root:/root:/bin/sh > etc/passwd
printf 'root:x:0:\\ndocker:x:999:\\n' > etc/group
ln -sf bash usr/bin/sh
for name in iptables ip6tables iptables-save iptables-restore; do ln -sf xtables-nft-multi usr/sbin/$name; done
echo secret-of-dockerd > root/private
echo private-of-d > etc/private-of-d
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /sys/fs/cgroup sys/fs/cgroup
mount -t tmpfs tmpfs dev
for node in null zero full random urandom tty; do touch dev/$node; mount --bind /dev/$node dev/$node; done
mkdir dev/pts dev/shm dev/mqueue
mount -t devpts devpts dev/pts -o newinstance,ptmxmode=0666
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs tmpfs dev/shm
mount -t tmpfs tmpfs run
mkdir -p run/aeon/pins
mount -t tmpfs tmpfs run/aeon/pins
mount -t tmpfs tmpfs tmp
mount --bind ${folder}/host host
mount --bind ${folder}/data var/lib/docker
mount --bind ${folder}/main mainroot
mkdir -p mainroot/proc mainroot/sys mainroot/dev mainroot/run mainroot/secret mainroot/volume
mount -t proc proc mainroot/proc
mount -t sysfs sysfs mainroot/sys
mount -t tmpfs tmpfs mainroot/dev
touch mainroot/dev/null
mount --bind /dev/null mainroot/dev/null
mkdir mainroot/dev/shm
mount -t tmpfs tmpfs mainroot/dev/shm
mount --bind ${folder}/main-run mainroot/run
mount --bind ${folder}/main-volume mainroot/volume
mount --bind ${folder}/main-secret mainroot/secret
mount -o remount,bind,ro mainroot/secret
mount --make-rprivate ${root}
ip link set lo up
pivot_root . mnt
cd /
umount -l /mnt
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DOCKER_RAMDISK=1
unset NOTIFY_SOCKET
while read -r line < /host/go; do
  rm -f /run/docker.pid /var/run/docker.pid
  dockerd -H unix:///host/docker.sock --exec-root /run/docker --data-root /var/lib/docker --cgroup-parent ${cgroup} ${flags.join(" ")} || true
done
`;
}

/** A colon would begin another layer, a comma another option. */
const escapeOverlay = (path: string): string => `'${path.replaceAll(/[:,\\]/g, String.raw`\$&`)}'`;
