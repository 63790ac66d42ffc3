import { existsSync, readdirSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run, startStandalone } from "@aeon/standalone";
import { containerdVersions, describeTree, difference, temporaryFolder, testCache } from "@aeon/testkit";
import { describe, expect, test, vi } from "vitest";

const workspace = join(import.meta.dirname, "..");
const silent = { step: <T>(_title: string, work: (note: () => void) => Promise<T>) => work(() => {}) };

const changes = `echo one > /etc/story; rm /etc/motd; mkdir -p /srv/data; seq 1 3000 > /srv/data/numbers
  ln /etc/story /srv/hard; ln -s ../etc/story /srv/soft; chmod 4711 /etc/story; chown 7:8 /srv
  touch -d '2001-02-03 04:05:06' /srv/data; mkfifo /srv/pipe; mknod /srv/null c 1 3
  dd if=/dev/zero of=/srv/sparse bs=1 count=1 seek=9000000 2>/dev/null`;
const more = `echo two >> /etc/story; rm /srv/data/numbers; printf 'bin\\000ary' > /srv/binary; rm -rf /usr/share`;

interface Life {
  readonly backup: string;
  readonly tree: ReadonlyMap<string, string>;
}

/** The programs that `npm start` puts into its folder. */
class Node {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  ctr = async (...args: readonly string[]): Promise<string> =>
    (await run(join(this.#root, "bin/ctr"), args)).stdout;

  aeonctl = async (...args: readonly string[]): Promise<string> =>
    (await run(join(this.#root, "bin/aeonctl"), args)).stdout;

  rootfs = (id: string): string =>
    join(this.#root, "containerd/state/io.containerd.runtime.v2.task/default", id, "rootfs");

  get store(): string {
    return join(this.#root, "store");
  }

  /** Runs a container that changes its files, and removes it; resolves when its backup is stored. */
  async live(id: string, image: string, script: string): Promise<Life> {
    await this.ctr(
      "run",
      "--detach",
      image,
      id,
      "sh",
      "-euc",
      `${script}\n: > /ready-${id}; exec sleep 86393`,
    );
    await vi.waitUntil(() => existsSync(join(this.rootfs(id), `ready-${id}`)), {
      timeout: 20_000,
      interval: 20,
    });
    const tree = await describeTree(this.rootfs(id), { holes: false });
    await this.ctr("tasks", "delete", "--force", id);
    await this.ctr("containers", "delete", id);
    const ids = async () => (await this.aeonctl("backup", "ls", "--container", id, "--quiet")).trim();
    const backup = await vi.waitUntil(ids, { timeout: 30_000, interval: 50 });
    await this.aeonctl("backup", "wait", backup);
    return { backup, tree };
  }
}

/** Without the root folder, whose attributes no layer can carry to another tool. */
const own = (tree: ReadonlyMap<string, string>) => new Map([...tree].filter(([path]) => path !== "."));

interface Failure {
  readonly exitCode: unknown;
  readonly message: string;
}

/** How a call failed; undefined when it did not. */
const failure = (work: Promise<string>): Promise<Failure | undefined> =>
  work.then(
    () => undefined,
    (error: Error & { cause?: { code?: unknown } }) => ({
      exitCode: error.cause?.code,
      message: error.message,
    }),
  );

describe.each(containerdVersions)("a store without its agent (containerd %s)", (line) => {
  test("can be looked into, verified, pinned, pruned and exported", { timeout: 300_000 }, async () => {
    await using folder = await temporaryFolder("i");
    const root = join(folder.path, "r");
    const signal = AbortSignal.timeout(280_000);
    await using standalone = await startStandalone({
      root,
      cache: testCache,
      workspace,
      line,
      signal,
      progress: silent,
    });
    const node = new Node(root);
    const first = await node.live("one", standalone.image, changes);
    await node.aeonctl("restore", first.backup, "--container", "two");
    const second = await node.live("two", standalone.image, more);
    const viaAgent = JSON.parse(await node.aeonctl("backup", "diff", second.backup, "-o", "json"));
    expect(JSON.parse(await node.aeonctl("backup", "ls", "--container", "two", "-o", "json"))).toMatchObject([
      { id: second.backup, state: "stored", head: true, pinned: null, seq: 1 },
    ]);
    expect(JSON.parse(await node.aeonctl("backup", "retention", "-o", "json"))).toMatchObject({ rules: {} });
    await standalone.agent[Symbol.asyncDispose]();
    expect(readdirSync(node.store)).toContain("t");

    const offline = (...args: readonly string[]) => node.aeonctl("backup", ...args, "--store", node.store);
    const json = async (...args: readonly string[]) => JSON.parse(await offline(...args, "-o", "json"));

    expect(await json("ls")).toMatchObject([
      { id: second.backup, parent: first.backup, containerId: "two", tenant: "default" },
      { id: first.backup, parent: null, containerId: "one", workload: "one", head: true },
    ]);
    expect(await json("show", second.backup)).toMatchObject({
      document: {
        layers: [{ backup: first.backup }, { backup: second.backup }],
        base: { image: standalone.image },
      },
    });
    expect(await offline("show", second.backup)).toContain(`└─ ${first.backup}`);
    expect(await offline("cat", second.backup, "/etc/story")).toBe("one\ntwo\n");
    expect(await offline("cat", first.backup, "/srv/hard")).toBe("one\n");
    const files: { path: string; type: string }[] = await json("files", second.backup, "/srv");
    const listed = files.map(({ path, type }) => `${path} ${type}`);
    expect(listed).toContain("/srv/binary file");
    expect(listed).toContain("/srv/data/numbers deleted");
    const changed = await json("diff", second.backup);
    expect(changed).toEqual(viaAgent);
    expect(changed).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ path: "/etc/story", change: "changed", sizeBefore: 4, sizeAfter: 8 }),
        expect.objectContaining({ path: "/srv/data/numbers", change: "deleted" }),
        expect.objectContaining({ path: "/srv/binary", change: "added" }),
      ]),
    );
    const patch = await offline("diff", second.backup, "--content");
    expect(patch).toContain("+++ b/etc/story\n@@ -1,1 +1,2 @@\n one\n+two\n");
    expect(patch).toContain("Binary files a/srv/binary and b/srv/binary differ\n");
    expect(await json("verify")).toMatchObject({ ok: true, backups: 2, layers: 2, faults: [] });

    const file = join(folder.path, "image.tar");
    const exporting = ["export", second.backup, "--output", file, "--image", "localhost/saved:1"];
    await offline(...exporting, "--containerd", standalone.containerd.address);
    await node.ctr("images", "import", "--snapshotter", "overlayfs", file);
    await node.ctr(
      "run",
      "--detach",
      "--snapshotter",
      "overlayfs",
      "localhost/saved:1",
      "saved",
      "sleep",
      "86392",
    );
    const saved = await describeTree(node.rootfs("saved"), { holes: false });
    await node.ctr("tasks", "delete", "--force", "saved");
    await node.ctr("containers", "delete", "saved");
    expect(difference(own(second.tree), own(saved))).toEqual([]);

    expect(await json("retention", "--keep-last", "1")).toMatchObject({
      rules: { keepLast: 1 },
      expired: [],
    });
    expect(await offline("retention")).toContain("no rule removes backups");
    await offline("pin", second.backup, "--reason", "evidence");
    expect(await failure(offline("rm", second.backup))).toMatchObject({ exitCode: 5 });
    await offline("unpin", second.backup);
    expect(await json("rm", first.backup)).toMatchObject({
      removed: true,
      neededBy: [second.backup],
      freed: 0,
    });
    expect(await json("verify", second.backup)).toMatchObject({ ok: true, backups: 1, layers: 2 });
    expect(await json("rm", second.backup)).toMatchObject({ removed: true, neededBy: [] });
    expect(await failure(offline("show", second.backup))).toMatchObject({ exitCode: 3 });

    const blobs = join(node.store, "t/default/blobs/sha256");
    expect(await json("gc", "--dry-run", "--grace", "0s")).toMatchObject({ dryRun: true });
    expect(readdirSync(blobs).length).toBeGreaterThan(0);
  });

  test("damage is found and named", { timeout: 300_000 }, async () => {
    await using folder = await temporaryFolder("i");
    const root = join(folder.path, "r");
    const signal = AbortSignal.timeout(280_000);
    await using standalone = await startStandalone({
      root,
      cache: testCache,
      workspace,
      line,
      signal,
      progress: silent,
    });
    const node = new Node(root);
    const { backup } = await node.live("one", standalone.image, changes);
    await standalone.agent[Symbol.asyncDispose]();
    const verify = () => failure(node.aeonctl("backup", "verify", "--store", node.store));
    const blobs = join(node.store, "t/default/blobs/sha256");
    for (const name of readdirSync(blobs)) {
      const path = join(blobs, name);
      const whole = await readFile(path);
      const damaged = Buffer.from(whole);
      damaged[whole.length >> 1] = (damaged[whole.length >> 1] ?? 0) ^ 1;
      await rm(path);
      await writeFile(path, damaged);
      expect({ name, ...(await verify()) }).toMatchObject({
        exitCode: 1,
        message: expect.stringContaining("VERIFY_FAILED"),
      });
      await writeFile(path, whole);
    }
    expect(await failure(node.aeonctl("backup", "verify", backup, "--store", node.store))).toBeUndefined();
    expect(await failure(node.aeonctl("backup", "ls", "--store", folder.path))).toMatchObject({
      exitCode: 3,
      message: expect.stringContaining("holds no backups"),
    });
  });
});
