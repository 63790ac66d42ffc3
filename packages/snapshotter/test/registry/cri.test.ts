import { createReadStream } from "node:fs";
import { join } from "node:path";
import { connectCri, type CriClient } from "@aeon/containerd/cri";
import { namespace, containerId, type ContainerEntry } from "@aeon/core";
import { NamespaceMode } from "@aeon/proto/cri";
import { containerdVersions, pauseImage, sandboxImage, temporaryFolder } from "@aeon/testkit";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { startNode, type TestNode } from "../support/node.ts";

const space = namespace("k8s.io");
const within = { timeout: 20_000, interval: 50 };

describe.each(containerdVersions)("registry with the CRI of containerd %s", (version) => {
  const resources = new AsyncDisposableStack();
  let node: TestNode;
  let cri: CriClient;
  let podId = "";

  const metadata = { name: "web", namespace: "shop", uid: "u-1", attempt: 0 };
  const host = { network: NamespaceMode.NODE, pid: NamespaceMode.CONTAINER, ipc: NamespaceMode.POD };
  const podConfig = {
    metadata,
    labels: {
      "io.kubernetes.pod.name": "web",
      "io.kubernetes.pod.namespace": "shop",
      "io.kubernetes.pod.uid": "u-1",
    },
    linux: { securityContext: { namespaceOptions: host } },
  };

  const entryOf = (id: string): ContainerEntry | undefined =>
    node.runtime.containers.byContainer(space, containerId(id));
  const create = async (attempt: number, command: readonly string[]): Promise<string> => {
    const config = {
      metadata: { name: "main", attempt },
      image: { image: node.image },
      command: [...command],
      labels: { ...podConfig.labels, "io.kubernetes.container.name": "main" },
    };
    const reply = await cri.runtime.createContainer({
      podSandboxId: podId,
      config,
      sandboxConfig: podConfig,
    });
    return reply.containerId;
  };

  beforeAll(async () => {
    const { path: folder } = resources.use(await temporaryFolder("cri"));
    const pause = await pauseImage(folder);
    node = resources.use(await startNode({ version, sandboxImage }));
    cri = resources.use(connectCri({ address: node.containerd.address }));
    const client = node.client.withNamespace("k8s.io");
    await client.import(createReadStream(pause), { unpack: "aeon" });
    await client.import(createReadStream(join(node.folder, "busybox.tar")), { unpack: "aeon" });
    // The CRI plugin learns of images by an event.
    const image = { image: { image: node.image } };
    await vi.waitUntil(async () => (await cri.image.imageStatus(image)).image !== undefined, within);
    podId = (await cri.runtime.runPodSandbox({ config: podConfig })).podSandboxId;
  }, 120_000);
  afterAll(async () => {
    if (podId !== "") {
      await cri.runtime.stopPodSandbox({ podSandboxId: podId });
      await cri.runtime.removePodSandbox({ podSandboxId: podId });
    }
    await resources.disposeAsync();
  });

  test("the sandbox is known as such", async () => {
    await vi.waitFor(() => expect(entryOf(podId)?.pod).toBeDefined(), within);
    expect(entryOf(podId)).toMatchObject({
      sandbox: true,
      pod: { namespace: "shop", name: "web", uid: "u-1", container: "POD" },
    });
  });

  test("at the Mounts of StartContainer a hook can learn whose the snapshot is, before it cannot", async () => {
    const seen: { lease: boolean; pod: string | undefined }[] = [];
    using _ = node.runtime.pipeline.register({
      name: "who",
      timeoutMs: 5000,
      onFailure: "fail",
      preMounts: async ({ key }, { caller, signal }) => {
        const entry = await node.runtime.containers.learn(key, signal);
        seen.push({ lease: caller.lease !== undefined, pod: entry?.pod?.container });
        return undefined;
      },
    });
    const id = await create(0, ["sh", "-c", "echo kept > /kept; exit 7"]);
    await cri.runtime.startContainer({ containerId: id });
    expect(seen.at(-1)).toEqual({ lease: false, pod: "main" });
    for (const earlier of seen.slice(0, -1)) expect(earlier).toEqual({ lease: true, pod: undefined });
    await vi.waitFor(() => expect(entryOf(id)).toMatchObject({ state: "ready", exit: { code: 7 } }), within);

    const again = await create(1, ["sh", "-c", "sleep 600 & wait"]);
    await cri.runtime.startContainer({ containerId: again });
    await vi.waitFor(() => expect(entryOf(again)?.state).toBe("ready"), within);
    expect(entryOf(again)?.pod).toEqual(entryOf(id)?.pod);
    expect(entryOf(again)?.upperdir).not.toBe(entryOf(id)?.upperdir);
    for (const each of [id, again]) {
      await cri.runtime.stopContainer({ containerId: each, timeout: 0n });
      await cri.runtime.removeContainer({ containerId: each });
      await node.collectGarbage();
      await vi.waitFor(() => expect(entryOf(each)).toBeUndefined(), within);
    }
  });
});
