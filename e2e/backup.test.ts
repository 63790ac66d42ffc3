import { existsSync } from "node:fs";
import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { linux } from "@aeon/core";
import { run, startStandalone } from "@aeon/standalone";
import { containerdVersions, describeTree, difference, temporaryFolder, testCache } from "@aeon/testkit";
import { expect, test, vi } from "vitest";

const workspace = join(import.meta.dirname, "..");
const silent = { step: <T>(_title: string, work: (note: () => void) => Promise<T>) => work(() => {}) };

/** The tools that `npm start` puts into its folder. */
class Tools {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  async ctr(...args: readonly string[]): Promise<string> {
    return (await run(join(this.#root, "bin/ctr"), args)).stdout;
  }

  async aeonctl(...args: readonly string[]): Promise<string> {
    return (await run(join(this.#root, "bin/aeonctl"), args)).stdout;
  }

  /** Where containerd's shim has mounted a running container's root. */
  rootfs(id: string): string {
    return join(this.#root, "containerd/state/io.containerd.runtime.v2.task/default", id, "rootfs");
  }

  /** Starts a container that runs the script and then waits; gives what it found and what it left. */
  async container(image: string, id: string, script: string, ...flags: readonly string[]) {
    const wait = "while [ ! -e /tmp/go ]; do sleep 0.05; done; rm /tmp/go";
    await this.ctr(
      "run",
      "--detach",
      ...flags,
      image,
      id,
      "sh",
      "-euc",
      `${wait}\n${script}\n: > /tmp/done-${id}; exec sleep 86397`,
    );
    const rootfs = this.rootfs(id);
    const before = await describeTree(rootfs);
    await this.ctr("tasks", "exec", "--exec-id", "go", id, "touch", "/tmp/go");
    await vi.waitUntil(() => existsSync(join(rootfs, `tmp/done-${id}`)), { timeout: 20_000, interval: 20 });
    // busybox has no program for it.
    linux.setXattrSync(join(rootfs, "etc/new"), "user.note", Buffer.from(`a=${id}\0\n`));
    return { before, after: await describeTree(rootfs) };
  }

  /** Ends and removes a container, and gives the id of its backup once that is in the store. */
  async remove(id: string): Promise<string> {
    await this.ctr("tasks", "delete", "--force", id);
    await this.ctr("containers", "delete", id);
    const ids = async () => (await this.aeonctl("backups", "ls", "--container", id, "--quiet")).trim();
    const backup = await vi.waitUntil(ids, { timeout: 30_000, interval: 50 });
    await this.aeonctl("backups", "wait", backup);
    return backup;
  }
}

/** What the containers of one chain do, each to what the one before it left. */
const lives = [
  `echo new > /etc/new; rm /etc/motd; rm -rf /usr/share/doc; mkdir -p /usr/share/doc; echo mine > /usr/share/doc/mine
   ln /etc/new /root/hard; ln -s ../etc/new /root/soft;
   mkfifo /root/pipe; mknod /root/null c 1 3; chmod 4711 /etc/new; chown 1000:2000 /etc/passwd
   touch -d '2001-02-03 04:05:06' /etc/group; echo > "/root/.wh.not-deleted"; mkdir /root/.wh..wh..opq
   dd if=/dev/zero of=/root/sparse bs=1 count=1 seek=20000000 2>/dev/null; printf x > "/root/$(printf 'a\\377b')"
   mkdir -p /deep; cd /deep; i=0; while [ $i -lt 5 ]; do d=$(printf 'd%.0s' $(seq 100)); mkdir $d; cd $d; i=$((i + 1)); done; echo deep > file`,
  `test "$(cat /etc/new)" = new; test ! -e /etc/motd; echo back > /etc/motd; rm /root/hard /root/soft
   rm -rf /deep /usr/share/doc; mkdir -p /usr/share; echo file > /usr/share/doc; seq 1 5000 > /var/numbers`,
  `test "$(cat /usr/share/doc)" = file; rm /usr/share/doc; mkdir /usr/share/doc; echo again > /usr/share/doc/readme; rm /bin/vi`,
  `test "$(cat /usr/share/doc/readme)" = again; test ! -e /bin/vi; tail -1 /var/numbers | grep -qx 5000`,
];

/** Runs the body on a fresh aeon; when it fails, the end of the agent's log is part of the failure. */
async function withAeon(
  line: (typeof containerdVersions)[number],
  body: (tools: Tools, image: string) => Promise<void>,
): Promise<void> {
  await using folder = await temporaryFolder("b");
  // The root of a user namespace, who is nobody on the host, has to get to its files.
  await chmod(folder.path, 0o711);
  const root = join(folder.path, "r");
  const signal = AbortSignal.timeout(280_000);
  const options = { root, cache: testCache, workspace, line, progress: silent, signal };
  await using standalone = await startStandalone(options);
  try {
    await body(new Tools(root), standalone.image);
  } catch (error) {
    throw new Error(`agent's log ends with\n${await standalone.agent.logTail()}`, { cause: error });
  }
}

test.for(containerdVersions)(
  "a container's files outlive it, over several containers (containerd %s)",
  { timeout: 300_000 },
  async (line) => {
    const lost: string[][] = [];
    await withAeon(line, async (tools, image) => {
      let after: ReadonlyMap<string, string> | undefined;
      for (const [index, script] of lives.entries()) {
        const found = await tools.container(image, `life-${index}`, script);
        lost.push(difference(after ?? found.before, found.before));
        after = found.after;
        const backup = await tools.remove(`life-${index}`);
        await tools.aeonctl("restore", backup, "--container", `life-${index + 1}`);
      }
    });
    expect(lost).toEqual(lives.map(() => []));
  },
);

/** The same tree as a container without a user namespace sees it. */
const unmapped = (tree: ReadonlyMap<string, string>): ReadonlyMap<string, string> =>
  new Map(
    [...tree].map(([path, facts]) => [
      path,
      facts.replace(
        /owner=(\d+):(\d+)/,
        (_all, uid, gid) => `owner=${Number(uid) - 100_000}:${Number(gid) - 100_000}`,
      ),
    ]),
  );

test("files of a container in a user namespace keep the container's ids", { timeout: 300_000 }, async () => {
  const mapped = ["--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536", "--remap-labels"];
  const script =
    "echo new > /etc/new; chown 1000:2000 /etc/new; echo root > /root/mine; chown 7:8 /root; rm /etc/motd";
  await withAeon("2.1", async (tools, image) => {
    const first = await tools.container(image, "first", script, ...mapped);
    expect(first.after.get("./etc/new")).toContain("owner=101000:102000");
    const backup = await tools.remove("first");
    await tools.aeonctl("restore", backup, "--container", "second");
    const second = await tools.container(image, "second", "echo new > /etc/new", ...mapped);
    expect(difference(first.after, second.before)).toEqual([]);
    await tools.aeonctl("restore", backup, "--container", "plain");
    const plain = await tools.container(image, "plain", "echo new > /etc/new");
    expect(difference(unmapped(first.after), plain.before)).toEqual([]);
  });
});
