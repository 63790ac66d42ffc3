import { createReadStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { Readable } from "node:stream";
import { connect, openClient } from "@aeon/containerd";
import type { Snapshotter } from "@aeon/core";
import { busyboxImage, containerdVersions, launchContainerd, temporaryFolder } from "@aeon/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openRemoteSnapshotter, openSnapshotterRuntime } from "../../src/index.ts";
import { callBy, key } from "../support/call.ts";
import { snapshotterContract } from "../support/snapshotter-contract.ts";

describe.each(containerdVersions)("overlayfs of containerd %s as the backend", (version) => {
  const resources = new AsyncDisposableStack();
  let address: string;
  let remote: Snapshotter;

  beforeAll(async () => {
    ({ address } = resources.use(await launchContainerd({ version })));
    remote = resources.use(
      openRemoteSnapshotter({ address, name: "overlayfs", containerdNamespace: "aeon" }),
    );
  });
  afterAll(() => resources.disposeAsync());

  snapshotterContract(() => remote);

  test("its garbage collector leaves the snapshots alone, and no one sees the label that holds it off", async () => {
    const name = key("k8s.io/4/kept");
    // The caller's namespace and lease mean nothing over there.
    const caller = callBy({ namespace: "k8s.io", lease: "a-lease-of-the-other-containerd" });
    await remote.prepare({ key: name, labels: { "containerd.io/snapshot/x": "1" } }, caller);
    await remote.update({ name, labels: { "containerd.io/snapshot/y": "2" }, paths: [] }, caller);
    await using client = await connect({ address, namespace: "aeon" });
    const lease = await client.leases.create({});
    await client.leases.delete(lease.id, { sync: true });
    expect((await remote.stat({ key: name }, callBy())).labels).toEqual({ "containerd.io/snapshot/y": "2" });
  });

  test("a container of another containerd runs on it, hooks included", async () => {
    await using owned = new AsyncDisposableStack();
    const { path: folder } = owned.use(await temporaryFolder("rem"));
    const socket = join(folder, "aeon.sock");
    const root = join(folder, "aeon");
    await mkdir(root);
    const caller = join(folder, "c", "containerd.sock");
    const client = owned.use(openClient({ address: caller }));
    const runtime = owned.use(
      await openSnapshotterRuntime({
        backend: { type: "remote", address, name: "overlayfs", containerdNamespace: "aeon" },
        root,
        socket,
        proxyName: "aeon",
        containerd: client,
      }),
    );
    await runtime.listen();
    owned.use(
      await launchContainerd({
        version,
        folder: join(folder, "c"),
        proxySnapshotters: [{ name: "aeon", address: socket }],
      }),
    );
    await using own = await connect({ address: caller });
    const image = await busyboxImage({ file: join(folder, "busybox.tar") });
    await own.import(createReadStream(image.file), { unpack: "aeon" });
    const args = ["sh", "-c", "echo made > /file; cat /file; ls /bin | wc -l"];
    const container = await own.createContainer("c1", { image: image.name, snapshotter: "aeon", args });
    const task = await container.newTask({ stdout: "pipe" });
    const output = text(task.stdout ?? Readable.from([]));
    await task.start();
    expect((await task.wait()).code).toBe(0);
    await task.delete();
    expect(await output).toMatch(/^made\n[1-9]\d+\n$/);
    const entry = runtime.containers.list().find((each) => each.containerId === "c1");
    expect(entry).toMatchObject({ namespace: "default", state: "ready", exit: { code: 0 } });
    await container.delete({ snapshot: true });
  });
});
