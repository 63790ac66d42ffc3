import { createReadStream } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { Readable } from "node:stream";
import { connect, type Client } from "@aeon/containerd";
import { Daemon, run } from "@aeon/standalone";
import { busyboxImage, containerdVersions, launchContainerd, temporaryFolder } from "@aeon/testkit";
import { expect, test, vi } from "vitest";

const packages = join(import.meta.dirname, "../packages");
const fromSource = (name: string) => ["--conditions=@aeon/source", join(packages, name, "src/main.ts")];

/** An agent in front of another containerd's overlayfs; every container is backed up. */
const agentConfig = (folder: string, backend: string) => `
version = 1
root = "${folder}/aeon"
state = "${folder}/run"
[metrics]
address = ""
[containerd]
address = "${folder}/front/containerd.sock"
namespaces = ["*"]
[snapshotter]
socket = "${folder}/run/snapshotter.sock"
backend = "remote"
address = "${backend}"
name = "overlayfs"
containerd-namespace = "aeon"
[backup]
default-policy = "all"
[backup.store]
type = "posix"
path = "${folder}/store"
`;

/** Runs a shell script in a container of its own and gives what it printed. */
async function shell(client: Client, image: string, id: string, script: string): Promise<string> {
  const args = ["sh", "-euc", script];
  const container = await client.createContainer(id, { image, snapshotter: "aeon", args });
  const task = await container.newTask({ stdout: "pipe" });
  const output = text(task.stdout ?? Readable.from([]));
  await task.start();
  expect((await task.wait()).code).toBe(0);
  await task.delete();
  await container.delete({ snapshot: true });
  return output;
}

test.for(containerdVersions)(
  "files outlive containers on another containerd's snapshots (containerd %s)",
  { timeout: 180_000 },
  async (version) => {
    await using owned = new AsyncDisposableStack();
    const { path: folder } = owned.use(await temporaryFolder("rb"));
    await mkdir(join(folder, "run"));
    const back = owned.use(await launchContainerd({ version, folder: join(folder, "back") }));
    const config = join(folder, "aeon.toml");
    await writeFile(config, agentConfig(folder, back.address));
    const agent = await Daemon.start({
      program: process.execPath,
      args: [...fromSource("agent"), "agent", "--config", config],
      cwd: folder,
      log: join(folder, "agent.log"),
    });
    owned.defer(() => agent.end("SIGTERM", 20_000));
    const aeonctl = async (...args: readonly string[]) =>
      (
        await run(process.execPath, [
          ...fromSource("aeonctl"),
          "--address",
          join(folder, "run/admin.sock"),
          ...args,
        ])
      ).stdout.trim();
    await vi.waitFor(() => aeonctl("status"), { timeout: 30_000, interval: 100 });
    const front = owned.use(
      await launchContainerd({
        version,
        folder: join(folder, "front"),
        proxySnapshotters: [{ name: "aeon", address: join(folder, "run/snapshotter.sock") }],
      }),
    );
    await using client = await connect({ address: front.address, namespace: "remote-backup" });
    const image = await busyboxImage({ file: join(folder, "busybox.tar") });
    await client.import(createReadStream(image.file), { unpack: "aeon" });

    await shell(
      client,
      image.name,
      "first",
      "echo kept > /note; rm /bin/vi; rm -rf /etc; mkdir /etc; echo mine > /etc/mine",
    );
    const backupOf = (id: string) => aeonctl("backups", "ls", "--container", id, "--quiet");
    const first = await vi.waitUntil(() => backupOf("first"), { timeout: 30_000, interval: 100 });
    await aeonctl("backups", "wait", first);
    await aeonctl("restore", first, "--container", "second", "--namespace", "remote-backup");
    const look = "cat /note; ls /etc; test -e /bin/vi || echo gone";
    const second = await shell(client, image.name, "second", `${look}; echo more > /etc/more`);
    expect(second).toBe("kept\nmine\ngone\n");

    const chained = await vi.waitUntil(() => backupOf("second"), { timeout: 30_000, interval: 100 });
    await aeonctl("backups", "wait", chained);
    await aeonctl("restore", chained, "--container", "third", "--namespace", "remote-backup");
    expect(await shell(client, image.name, "third", look)).toBe("kept\nmine\nmore\ngone\n");
  },
);
