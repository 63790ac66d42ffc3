import { createReadStream } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { Readable } from "node:stream";
import { connect, type Client } from "@aeon/containerd";
import { Daemon, run } from "@aeon/standalone";
import {
  busyboxImage,
  containerdVersions,
  launchContainerd,
  stackedLayers,
  temporaryFolder,
} from "@aeon/testkit";
import { expect, test, vi } from "vitest";

const packages = join(import.meta.dirname, "../packages");
const fromSource = (name: string) => ["--conditions=@aeon/source", join(packages, name, "src/main.ts")];

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
${backend}
[backup]
default-policy = "all"
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

/** So many that their mount options need containerd's own shortening, which the restored layers must not prevent. */
const imageLayers = 110;
const chain = 8;

test.for([
  ...containerdVersions.map((version) => ({ version, backend: "overlayfs" })),
  { version: "2.1", backend: "remote" },
] as const)(
  `an image of ${imageLayers} layers starts with a chain of ${chain} (containerd $version, $backend)`,
  { timeout: 300_000 },
  async ({ version, backend }) => {
    await using owned = new AsyncDisposableStack();
    const { path: folder } = owned.use(await temporaryFolder("dr"));
    await mkdir(join(folder, "run"));
    let table = `backend = "overlayfs"`;
    if (backend === "remote") {
      const back = owned.use(await launchContainerd({ version, folder: join(folder, "back") }));
      table = `backend = "remote"\naddress = "${back.address}"\nname = "overlayfs"\ncontainerd-namespace = "aeon"`;
    }
    const config = join(folder, "aeon.toml");
    await writeFile(config, agentConfig(folder, table));
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
    await using client = await connect({ address: front.address, namespace: "deep" });
    const { layers, files } = stackedLayers(imageLayers);
    const image = await busyboxImage({ file: join(folder, "deep.tar"), layers });
    await client.import(createReadStream(image.file), { unpack: "aeon" });

    await shell(client, image.name, "run-0", "echo 0 > /note-0; rm /stack/replaced");
    for (let step = 1; step <= chain; step += 1) {
      const backupOf = () => aeonctl("backups", "ls", "--container", `run-${step - 1}`, "--quiet");
      const backup = await vi.waitUntil(backupOf, { timeout: 30_000, interval: 200 });
      await aeonctl("backups", "wait", backup);
      await aeonctl("restore", backup, "--container", `run-${step}`, "--namespace", "deep");
      const look = `cat /note-${step - 1}; ls / | grep -c note; test ! -e /stack/replaced; find /stack -type f | wc -l`;
      // Each removal before this started containerd's garbage collector, which takes nothing of a plugin.
      const seen = await shell(client, image.name, `run-${step}`, `${look}; echo ${step} > /note-${step}`);
      expect(seen).toBe(`${step - 1}\n${step}\n${files.size - 1}\n`);
    }
  },
);
