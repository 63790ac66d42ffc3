import { createReadStream } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { ContainerEventType, ContainerState, NamespaceMode, PodSandboxState } from "@aeon/proto/cri";
import {
  busyboxImage,
  containerdVersions,
  launchContainerd,
  temporaryFolder,
  type TemporaryFolder,
} from "@aeon/testkit";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { connectCri, type CriClient } from "../src/cri.ts";
import { connect, type Client } from "../src/index.ts";

const pause = "localhost/pause:1";
const network = { namespaceOptions: { network: NamespaceMode.NODE } };

describe.each(containerdVersions)("CRI of containerd %s", (version) => {
  let resources: AsyncDisposableStack;
  let folder: TemporaryFolder;
  let client: Client;
  let cri: CriClient;
  let image: string;

  beforeAll(async () => {
    resources = new AsyncDisposableStack();
    folder = resources.use(await temporaryFolder("cri"));
    const containerd = resources.use(await launchContainerd({ version, cri: { sandboxImage: pause } }));
    client = resources.use(await connect({ address: containerd.address, namespace: "k8s.io" }));
    cri = resources.use(connectCri({ address: containerd.address }));
    const built = await busyboxImage({ file: join(folder.path, "image.tar") });
    image = built.name;
    await client.import(createReadStream(built.file), { unpack: "overlayfs" });
    await makePause();
  });

  afterAll(() => resources.disposeAsync());

  /** The same layers with a command that stays. */
  async function makePause(): Promise<void> {
    await client.withLease(async (leased) => {
      const base = await leased.images.get(image);
      const { manifest, config } = await base.resolve();
      const store = async (value: unknown, labels: Record<string, string> = {}) => {
        const bytes = Buffer.from(JSON.stringify(value));
        const open = async function* () {
          yield bytes;
        };
        const digest = await leased.content.ingest({
          ref: crypto.randomUUID(),
          size: bytes.length,
          labels,
          open,
        });
        return { digest, size: bytes.length };
      };
      const command = { ...config, config: { ...config.config, Cmd: ["sleep", "1000000"] } };
      const configuration = { ...manifest.config, ...(await store(command)) };
      const refs = {
        "containerd.io/gc.ref.content.config": configuration.digest,
        ...Object.fromEntries(
          manifest.layers.map(({ digest }, index) => [`containerd.io/gc.ref.content.l.${index}`, digest]),
        ),
      };
      const target = { ...base.target, ...(await store({ ...manifest, config: configuration }, refs)) };
      await leased.images.put({ name: pause, target });
      await (await leased.images.get(pause)).unpack("overlayfs");
    });
    // CRI learns of new images from events.
    await vi.waitFor(
      async () => {
        const { image: known } = await cri.image.imageStatus({ image: { image: pause } });
        expect(known?.id).toMatch(/^sha256:/);
      },
      { timeout: 10_000 },
    );
  }

  test("tells version, status and images", async () => {
    expect(await cri.runtime.version({})).toMatchObject({
      runtimeName: "containerd",
      runtimeApiVersion: "v1",
    });
    const { status } = await cri.runtime.status({});
    expect(status?.conditions.find(({ type }) => type === "RuntimeReady")?.status).toBe(true);
    const { images } = await cri.image.listImages({});
    expect(images.flatMap(({ repoTags }) => repoTags)).toEqual(expect.arrayContaining([image, pause]));
    const { imageFilesystems } = await cri.image.imageFsInfo({});
    expect(imageFilesystems[0]?.fsId?.mountpoint).toContain("overlayfs");
    await expect(cri.runtime.podSandboxStatus({ podSandboxId: "none" })).rejects.toMatchObject({
      code: "not-found",
    });
  });

  test("runs a pod with a container from start to end", async () => {
    const stop = new AbortController();
    const events: ContainerEventType[] = [];
    const following = (async () => {
      for await (const event of cri.runtime.getContainerEvents({}, { signal: stop.signal }))
        events.push(event.containerEventType);
    })().catch((error: unknown) => error);

    await mkdir(join(folder.path, "logs"));
    const sandbox = {
      metadata: { name: "pod", namespace: "default", uid: "u1", attempt: 0 },
      logDirectory: join(folder.path, "logs"),
      linux: { securityContext: network },
    };
    const { podSandboxId } = await cri.runtime.runPodSandbox({ config: sandbox });
    expect((await cri.runtime.podSandboxStatus({ podSandboxId })).status?.state).toBe(
      PodSandboxState.SANDBOX_READY,
    );
    const { containerId } = await cri.runtime.createContainer({
      podSandboxId,
      sandboxConfig: sandbox,
      config: {
        metadata: { name: "main" },
        image: { image },
        command: ["sh", "-c", "echo started; sleep 1000"],
        logPath: "main.log",
        linux: { securityContext: network },
      },
    });
    await cri.runtime.startContainer({ containerId });
    const { status } = await cri.runtime.containerStatus({ containerId });
    expect(status).toMatchObject({ state: ContainerState.CONTAINER_RUNNING, metadata: { name: "main" } });
    const executed = await cri.runtime.execSync({
      containerId,
      cmd: ["sh", "-c", "echo hi; exit 4"],
      timeout: 10n,
    });
    expect({ ...executed, stdout: Buffer.from(executed.stdout).toString() }).toMatchObject({
      stdout: "hi\n",
      exitCode: 4,
    });
    expect((await cri.runtime.containerStats({ containerId })).stats?.attributes?.id).toBe(containerId);
    const { containers } = await cri.runtime.listContainers({ filter: { podSandboxId } });
    expect(containers.map(({ id }) => id)).toEqual([containerId]);
    await expect
      .poll(() => readFile(join(folder.path, "logs/main.log"), "utf8"), { timeout: 15_000 })
      .toContain("started");
    const records = (await client.sandboxes()).map(({ id }) => id);
    expect(records).toEqual(version === "1.7" ? [] : [podSandboxId]);

    await cri.runtime.stopContainer({ containerId, timeout: 0n });
    await cri.runtime.removeContainer({ containerId });
    await cri.runtime.stopPodSandbox({ podSandboxId });
    await cri.runtime.removePodSandbox({ podSandboxId });
    expect((await cri.runtime.listPodSandbox({})).items).toEqual([]);
    await expect
      .poll(() => events, { timeout: 15_000 })
      .toContain(ContainerEventType.CONTAINER_STOPPED_EVENT);
    stop.abort();
    expect(await following).toMatchObject({ code: "canceled" });
  });
});
