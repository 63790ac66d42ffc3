import { randomBytes } from "node:crypto";
import { createReadStream, createWriteStream, mkdirSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import type { Mount, SnapshotKey } from "@aeon/core";
import { linux, snapshotKey } from "@aeon/core";
import { connect, type Client } from "@aeon/containerd";
import { ImageLayout, unpackLayout } from "@aeon/oci";
import {
  busyboxImage,
  containerdVersions,
  debianFile,
  describeTree,
  difference,
  launchContainerd,
  stackedLayers,
  temporaryFolder,
  type PrivateContainerd,
} from "@aeon/testkit";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseKeyFile } from "../src/archive/encryption-key.ts";
import { layerFormats } from "../src/archive/frame-format.ts";
import { readFrames } from "../src/archive/frame-reader.ts";
import { packFile } from "../src/archive/layer-file.ts";
import {
  containerdBase,
  exportImage,
  layoutBase,
  type BaseImage,
  type ExportCompression,
  type ExportSource,
} from "../src/inspect/index.ts";
import { makeTree, randomTree } from "./random-tree.ts";
import { run, scratch, shell, type Scratch } from "./scratch.ts";

const skopeo = await debianFile("skopeo", "usr/bin/skopeo");
const multiarch = process.arch === "x64" ? "x86_64-linux-gnu" : "aarch64-linux-gnu";
/** Those that a plain machine lacks. */
const libraries = await Promise.all(
  ["libgpgme11", "libassuan0", "libgpg-error0", "libdevmapper1.02.1"].flatMap((name) => [
    debianFile(name, `lib/${multiarch}`),
    debianFile(name, `usr/lib/${multiarch}`),
  ]),
);
const namespace = `export-${process.pid}`;
const { signal } = new AbortController();

const seed = Number(process.env["AEON_TEST_SEED"] ?? Date.now() % 2 ** 31);
console.log(`export properties: seed ${seed}`);

/** Everything a layer can hold that an OCI layer can, without names that mean deletion there. */
const changes = `
  echo new > new; chmod 4711 new; chown 1000:2000 new; touch -d '2001-02-03 04:05:06.789012345' new
  ln new hard; ln -s ../new soft; mkfifo pipe; mknod null c 1 3
  mkdir -p deep/er; echo x > deep/er/file; chmod 2755 deep; touch -d '2002-02-03 04:05:06.5' deep
  printf x > "$(printf 'a\\377b')"
  dd if=/dev/zero of=sparse bs=1 count=1 seek=20000000 2>/dev/null
  touch -d '1999-01-01 00:00:00' -h soft
`;

/** A backup's layer without a store: as packed. */
async function packed(dir: Scratch, upper: string, name: string, isSealed = false): Promise<ExportSource> {
  const file = dir.at(name);
  const keys = parseKeyFile(Buffer.alloc(32, 7), "test");
  const key = isSealed ? keys[0] : undefined;
  const { layer } = await packFile({ source: upper, target: file, overlay: "trusted", level: 3, key });
  return {
    layer: { ...layer, tenant: "tenant", backup: "backup" },
    origin: { createdAt: new Date(1_700_000_000_000), createdBy: "aeon backup" },
    ...(!isSealed && { stored: () => createReadStream(file) }),
    raw: async function* () {
      await using handle = await open(file);
      yield* readFrames(handle.fd, layer, layerFormats(layer.cipher, keys).layer);
    },
  };
}

/** What a container does, to its writable layer before it is mounted or to its files after. */
interface Change {
  readonly upper?: (path: string) => void;
  readonly merged?: (path: string) => void;
  readonly isSealed?: boolean;
}

/**
 * What containerd takes from no layer: the root folder's attributes, times before 1970, attributes without a value,
 * with `=` or `%` in their name, or of the kind `trusted`. OCI knows no holes.
 */
async function treeAt(path: string): Promise<ReadonlyMap<string, string>> {
  const tree = await describeTree(path, { holes: false });
  tree.delete(".");
  const lost = [/ user\.50%(?:25%3D|=)x=\S*/g, / user\.[a-z.]+=(?= |$)/g, / trusted\.\S+/g];
  const kept = (facts: string) =>
    lost.reduce((text, pattern) => text.replaceAll(pattern, ""), facts.replace(/mtime=-\d+/, "mtime=0"));
  return new Map([...tree].map(([name, facts]) => [name, kept(facts)]));
}

/** Mounts as containerd's shim would. */
function mounted(mounts: readonly Mount[], target: string): Disposable & { readonly path: string } {
  mkdirSync(target);
  for (const { type, source, options } of mounts)
    run("mount", "-t", type === "bind" ? "none" : type, "-o", options.join(","), source, target);
  return {
    path: target,
    [Symbol.dispose]() {
      run("umount", target);
      rmSync(target, { recursive: true });
    },
  };
}

async function write(
  dir: Scratch,
  base: BaseImage | undefined,
  layers: readonly ExportSource[],
  compression: ExportCompression = "zstd",
  reference = "localhost/exported:1",
): Promise<string> {
  const file = dir.at("image.tar");
  mkdirSync(dir.at("spool"), { recursive: true });
  await exportImage({
    base,
    layers,
    compression,
    reference,
    signal,
    spool: dir.at("spool"),
    output: createWriteStream(file),
  });
  return file;
}

async function viewOf(leased: Client, parent: SnapshotKey, dir: Scratch) {
  const snapshots = leased.snapshotter("overlayfs");
  const key = snapshotKey(`view-${randomBytes(4).toString("hex")}`);
  const mounts = await snapshots.view({ key, parent, labels: {} });
  try {
    using mount = mounted(mounts, dir.at("merged"));
    return await treeAt(mount.path);
  } finally {
    await snapshots.remove({ key });
  }
}

describe.each(containerdVersions)("containerd %s", (version) => {
  let resources: AsyncDisposableStack;
  let containerd: PrivateContainerd;
  let client: Client;
  let imageName: string;
  let archive: string;

  beforeAll(async () => {
    resources = new AsyncDisposableStack();
    const folder = resources.use(await temporaryFolder("export"));
    containerd = resources.use(await launchContainerd({ version }));
    client = resources.use(await connect({ address: containerd.address, namespace }));
    const { layers } = stackedLayers(3);
    const image = await busyboxImage({ file: join(folder.path, "image.tar"), layers });
    [imageName, archive] = [image.name, image.file];
    await client.import(createReadStream(archive), { unpack: "overlayfs" });
  });

  afterAll(() => resources.disposeAsync());

  const base = (dir: Scratch): Promise<BaseImage> =>
    client.withLease((leased) =>
      containerdBase({ image: imageName }, { client: leased, spool: dir.path, signal }),
    );

  /** What a container of the image starts with. */
  async function treeOf(name: string, dir: Scratch): Promise<ReadonlyMap<string, string>> {
    const image = await client.images.get(name);
    if (!(await image.isUnpacked("overlayfs"))) await image.unpack("overlayfs");
    const chain = await image.chainId();
    if (chain === undefined) throw new Error(`${name} has no layers`);
    return client.withLease((leased) => viewOf(leased, snapshotKey(chain), dir));
  }

  /** A container's merged files after `change` was made in its writable layer, and that layer. */
  const life = (dir: Scratch, how: Change) => client.withLease((leased) => liveOn(leased, dir, how));

  async function liveOn(leased: Client, dir: Scratch, how: Change) {
    const snapshots = leased.snapshotter("overlayfs");
    const key = snapshotKey("life");
    const image = await client.images.get(imageName);
    const parent = snapshotKey((await image.chainId()) ?? "");
    const mounts = await snapshots.prepare({ key, parent, labels: {} });
    try {
      const upper = mounts
        .flatMap(({ options }) => options)
        .find((option) => option.startsWith("upperdir="))
        ?.slice("upperdir=".length);
      if (upper === undefined) throw new Error("no overlay");
      how.upper?.(upper);
      const wanted = await (async () => {
        using mount = mounted(mounts, dir.at("live"));
        how.merged?.(mount.path);
        return await treeAt(mount.path);
      })();
      return { wanted, source: await packed(dir, upper, "layer", how.isSealed) };
    } finally {
      await snapshots.remove({ key });
    }
  }

  test.each(["zstd", "gzip", "none"] as const)("an image with %s layers has the saved files", async (how) => {
    using dir = scratch();
    const { wanted, source } = await life(dir, {
      merged: (path) => {
        shell(`${changes}\nrm -r stack/added; rm bin/vi; rm -rf etc; mkdir etc; : > etc/mine`, path);
        linux.setXattrSync(join(path, "new"), "user.note", Buffer.from("a=b\0\n"));
      },
    });
    const file = await write(dir, await base(dir), [source], how);
    await containerd.ctr(["--namespace", namespace, "images", "import", file]);
    const found = await treeOf("localhost/exported:1", dir);
    expect(difference(wanted, found)).toEqual([]);
    expect(found.has("./etc/mine")).toBe(true);
    expect(found.has("./bin/vi")).toBe(false);
    await client.images.delete("localhost/exported:1", { sync: true });
  });

  test("encrypted layers are decrypted on the way", async () => {
    using dir = scratch();
    const { wanted, source } = await life(dir, { merged: (path) => shell(changes, path), isSealed: true });
    await client.import(createReadStream(await write(dir, await base(dir), [source])));
    expect(difference(wanted, await treeOf("localhost/exported:1", dir))).toEqual([]);
  });

  test("random files come out as they were", { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(randomTree({ overlay: false }), async (tree) => {
        using dir = scratch();
        const { wanted, source } = await life(dir, {
          merged: (path) => {
            mkdirSync(join(path, "random"));
            makeTree(join(path, "random"), tree);
          },
        });
        await client.import(createReadStream(await write(dir, await base(dir), [source])));
        expect(difference(wanted, await treeOf("localhost/exported:1", dir))).toEqual([]);
      }),
      { seed, numRuns: 8, endOnFailure: true },
    );
  });

  test("layers whose blobs containerd discarded are packed again", async () => {
    using dir = scratch();
    const { wanted, source } = await life(dir, { merged: (path) => shell(changes, path) });
    const { manifest } = await (await client.images.get(imageName)).resolve();
    for (const { digest } of manifest.layers) await client.content.delete(digest);
    const repacked = await base(dir);
    expect(repacked.layers.map(({ descriptor }) => descriptor.digest)).not.toContain(
      manifest.layers[0]?.digest,
    );
    const file = await write(dir, repacked, [source]);
    await client.import(createReadStream(file));
    expect(difference(wanted, await treeOf("localhost/exported:1", dir))).toEqual([]);
    await client.import(createReadStream(archive));
  });

  test("says which layer is neither stored nor unpacked", async () => {
    using dir = scratch();
    const name = "docker.io/library/packed:latest";
    const { layers } = stackedLayers(5);
    const built = await busyboxImage({ file: dir.at("other.tar"), name, layers });
    const [image] = await client.import(createReadStream(built.file));
    const { manifest } = (await image?.resolve()) ?? {};
    const digest = manifest?.layers.at(-1)?.digest;
    if (digest === undefined) throw new Error("no layer");
    await client.content.delete(digest);
    await expect(
      containerdBase({ image: "packed" }, { client, spool: dir.path, signal }),
    ).rejects.toMatchObject({ reason: "EXPORT_BASE_MISSING", message: expect.stringContaining(digest) });
  });

  test("another image of the same name is refused, its former content is found by digest", async () => {
    using dir = scratch();
    const image = await client.images.get(imageName);
    const { diff_ids: diffIds } = (await image.config()).rootfs;
    const name = "docker.io/library/moved:latest";
    const { layers } = stackedLayers(2);
    const other = await busyboxImage({ file: dir.at("other.tar"), name, layers });
    await client.import(createReadStream(other.file));
    const find = (digest?: string) =>
      containerdBase({ image: name, diffIds, digest }, { client, spool: dir.path, signal });
    await expect(find()).rejects.toMatchObject({
      reason: "EXPORT_BASE_DIFFERENT",
      message: expect.stringContaining("--base"),
    });
    expect((await find(image.target.digest)).layers).toHaveLength(diffIds.length);
    await expect(
      containerdBase({ image: "nowhere" }, { client, spool: dir.path, signal }),
    ).rejects.toMatchObject({ reason: "EXPORT_BASE_MISSING" });
  });

  test("the base may be given as a layout, folder or tar", async () => {
    using dir = scratch();
    const { wanted, source } = await life(dir, { merged: (path) => shell(changes, path) });
    const { folder } = await unpackLayout(archive, dir.at("layout"));
    for (const path of [folder, archive]) {
      using spool = scratch();
      const given = await layoutBase(path, { image: imageName }, spool.path);
      await client.import(createReadStream(await write(dir, given, [source])));
      expect(difference(wanted, await treeOf("localhost/exported:1", dir))).toEqual([]);
    }
    await expect(layoutBase(folder, { image: imageName, diffIds: [] }, dir.path)).rejects.toMatchObject({
      reason: "EXPORT_BASE_DIFFERENT",
    });
  });

  test("skopeo reads it as OCI and as Docker archive", async () => {
    using dir = scratch();
    const { source } = await life(dir, { merged: (path) => shell(changes, path) });
    for (const compression of ["zstd", "gzip", "none"] as const) {
      const file = await write(
        dir,
        await base(dir),
        [source],
        compression,
        "registry.example/team/web:monday",
      );
      const policy = ["--insecure-policy", "--tmpdir", dir.path];
      for (const from of [`oci-archive:${file}`, `oci-archive:${file}:monday`, `docker-archive:${file}`]) {
        const to = dir.at("copied");
        run(
          "env",
          `LD_LIBRARY_PATH=${libraries.join(":")}`,
          skopeo,
          ...policy,
          "copy",
          "--quiet",
          from,
          `oci:${to}:copy`,
        );
        const layout = await ImageLayout.open(to);
        const [copied] = (await layout.index()).manifests;
        if (copied === undefined) throw new Error("skopeo copied nothing");
        const { config } = await layout.readImage(copied);
        expect(config.rootfs.diff_ids.at(-1)).toBe(source.layer.diffId);
        expect(config.history?.at(-1)?.created_by).toBe("aeon backup");
        rmSync(to, { recursive: true });
      }
    }
  });

  test("a layer that is not what its digest says leaves no image", async () => {
    using dir = scratch();
    const { source } = await life(dir, { merged: (path) => shell(changes, path) });
    const damaged: ExportSource = {
      ...source,
      stored: async function* () {
        yield Buffer.alloc(source.layer.size);
      },
    };
    await expect(write(dir, await base(dir), [damaged])).rejects.toMatchObject({
      reason: "EXPORT_BLOB_DAMAGED",
    });
  });
});
