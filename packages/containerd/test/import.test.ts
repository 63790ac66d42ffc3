import { createReadStream } from "node:fs";
import { mkdir, readFile, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import {
  buildLayer,
  digestOf,
  machineArchitecture,
  mediaTypes,
  unpackLayout,
  type ImageLayout,
} from "@aeon/oci";
import {
  busyboxImage,
  containerdVersions,
  launchContainerd,
  stackedLayers,
  temporaryFolder,
  type TemporaryFolder,
} from "@aeon/testkit";
import { create } from "tar";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connect, type Client } from "../src/index.ts";

const small = buildLayer([{ type: "file", path: "hello", content: "hello\n" }]);
const config = Buffer.from(
  JSON.stringify({
    architecture: machineArchitecture(),
    os: "linux",
    config: { Cmd: ["/hello"] },
    rootfs: { type: "layers", diff_ids: [digestOf(small), digestOf(small)] },
  }),
);

async function tarOf(path: string): Promise<Readable> {
  await create({ cwd: path, file: `${path}.tar` }, ["."]);
  return createReadStream(`${path}.tar`);
}

const firstManifest = async (layout: ImageLayout) => {
  const [descriptor] = (await layout.index()).manifests;
  if (!descriptor) throw new Error("no manifest");
  return { descriptor, ...(await layout.readImage(descriptor)) };
};

/** Of its own: runc keeps all containers of the machine by namespace and id. */
const namespace = `test-${process.pid}`;

describe.each(containerdVersions)("import into containerd %s", (version) => {
  let resources: AsyncDisposableStack;
  let folder: TemporaryFolder;
  let client: Client;
  let number = 0;

  beforeAll(async () => {
    resources = new AsyncDisposableStack();
    folder = resources.use(await temporaryFolder("import"));
    const containerd = resources.use(await launchContainerd({ version }));
    client = resources.use(await connect({ address: containerd.address, namespace }));
  });

  afterAll(() => resources.disposeAsync());

  const scratch = async (): Promise<string> => {
    const path = join(folder.path, String(++number));
    await mkdir(path);
    return path;
  };

  /** As `docker save` wrote it up to Docker 24. */
  async function dockerArchive(tags: readonly string[] | null): Promise<string> {
    const path = await scratch();
    const name = `${digestOf(config).slice(7)}.json`;
    await writeFile(join(path, name), config);
    await mkdir(join(path, "aaa"));
    await mkdir(join(path, "bbb"));
    await writeFile(join(path, "aaa/layer.tar"), small);
    await symlink("../aaa/layer.tar", join(path, "bbb/layer.tar"));
    const Layers = ["aaa/layer.tar", "bbb/layer.tar"];
    await writeFile(join(path, "manifest.json"), JSON.stringify([{ Config: name, RepoTags: tags, Layers }]));
    return path;
  }

  test("a Docker archive, with links between layers, twice", async () => {
    const path = await dockerArchive(["hello:1", "localhost:5000/team/hello:2"]);
    for (const attempt of [1, 2]) {
      const images = await client.import(await tarOf(path), { unpack: "overlayfs" });
      expect([attempt, images.map(({ name }) => name)]).toEqual([
        attempt,
        ["docker.io/library/hello:1", "localhost:5000/team/hello:2"],
      ]);
    }
    const image = await client.images.get("docker.io/library/hello:1");
    expect((await image.config()).config?.Cmd).toEqual(["/hello"]);
    expect(await image.isUnpacked("overlayfs")).toBe(true);
  });

  test("an archive without names needs one", async () => {
    const path = await dockerArchive(null);
    await expect(client.import(await tarOf(path))).rejects.toMatchObject({ reason: "IMAGE_NAME_MISSING" });
    const [image] = await client.import(await tarOf(path), { name: "localhost/named:1", labels: { a: "b" } });
    expect(image).toMatchObject({ name: "localhost/named:1", labels: { a: "b" } });
  });

  test("a compressed archive with compressed layers, whiteouts and opaque folders", async () => {
    const { layers, files } = stackedLayers(5);
    const { file } = await busyboxImage({
      file: join(folder.path, "stack.tar"),
      name: "localhost/stack:1",
      layers,
      gzip: true,
    });
    const [image] = await client.import(Readable.from([gzipSync(await readFile(file))]), {
      unpack: "overlayfs",
    });
    if (!image) throw new Error("no image");
    const container = await client.createContainer("stack", {
      image,
      args: ["sh", "-c", 'find stack -type f | sort | while read f; do echo "$f=$(cat $f)"; done'],
    });
    const task = await container.newTask({ stdout: "pipe", stderr: process.stderr });
    const output = text(task.stdout ?? Readable.from([]));
    await task.start();
    await task.wait();
    await task.delete();
    await container.delete({ snapshot: true });
    const expected = [...files]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([path, content]) => `${path}=${content}`);
    expect(await output).toBe(expected.join(""));
  });

  async function brokenLayout(breakIt: (layout: ImageLayout) => Promise<void>): Promise<Readable> {
    const path = join(folder.path, String(++number));
    const { file } = await busyboxImage({ file: `${path}.image.tar`, name: "localhost/broken:1" });
    await breakIt(await unpackLayout(file, path));
    return tarOf(path);
  }

  test("content that is not what its name says is refused", async () => {
    const tar = await brokenLayout(async (layout) => {
      const { manifest } = await firstManifest(layout);
      await writeFile(layout.blobPath(manifest.config), "{}");
    });
    await expect(client.import(tar)).rejects.toThrow(/digest/);
  });

  test("a layer that unpacks to something else than its image says leaves no snapshot", async () => {
    const tar = await brokenLayout(async (layout) => {
      const { manifest, config: real } = await firstManifest(layout);
      const forged = { ...real, rootfs: { ...real.rootfs, diff_ids: [digestOf("other")] } };
      const forgedConfig = await layout.writeJson(forged, mediaTypes.config);
      const target = await layout.writeJson({ ...manifest, config: forgedConfig }, mediaTypes.manifest);
      await layout.tag(target, "localhost/broken:1");
    });
    await expect(client.import(tar, { unpack: "overlayfs" })).rejects.toMatchObject({
      reason: "LAYER_DIFF_ID_MISMATCH",
      code: "data-loss",
    });
    const names: string[] = [];
    for await (const { name } of await client.snapshotter("overlayfs").list({ filters: [] }))
      names.push(name);
    expect(names.filter((name) => name.startsWith("extract-") || name === digestOf("other"))).toEqual([]);
  });

  test("an image for another machine is imported but not run", async () => {
    const tar = await brokenLayout(async (layout) => {
      const { manifest, config: real } = await firstManifest(layout);
      const foreign = await layout.writeJson({ ...real, architecture: "riscv128" }, mediaTypes.config);
      const target = await layout.writeJson({ ...manifest, config: foreign }, mediaTypes.manifest);
      await layout.tag(target, "localhost/broken:1");
    });
    const [image] = await client.import(tar, { name: "localhost/foreign:1" });
    await expect(image?.resolve()).rejects.toMatchObject({ reason: "IMAGE_PLATFORM_MISSING" });
  });

  test.each([
    ["nothing", async () => Readable.from([])],
    ["noise", async () => Readable.from([Buffer.alloc(100_000, "noise")])],
    [
      "half an archive",
      async () => {
        const { file } = await busyboxImage({ file: join(folder.path, `${++number}.tar`) });
        await truncate(file, 700_000);
        return createReadStream(file);
      },
    ],
    ["a tar of something else", async () => tarOf(await scratch())],
  ])("%s is refused", async (_name, tar) => {
    await expect(client.import(await tar())).rejects.toMatchObject({ reason: "IMAGE_ARCHIVE_INVALID" });
  });

  test("a broken source and an abort end the import", async () => {
    const source = new Readable({ read() {} });
    const failing = client.import(source);
    source.destroy(new Error("cable cut"));
    await expect(failing).rejects.toThrow("cable cut");
    const abort = new AbortController();
    const { file } = await busyboxImage({ file: join(folder.path, `${++number}.tar`) });
    const started = client.import(createReadStream(file), {}, { signal: abort.signal });
    abort.abort();
    await expect(started).rejects.toThrow(/abort|cancel/i);
    expect(await client.leases.list()).toEqual([]);
  });
});
