import { createReadStream } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ImageLayout, machineArchitecture, mediaTypes, packLayout, type Digest } from "@aeon/oci";
import { runProgram } from "../system/run-program.ts";
import { fetchDebianArchives } from "./debian-archives.ts";
import { defaultPackages, defaultSuite, imageLabels, initPath, sbomPath } from "./image-recipe.ts";
import { readPackages, type DebianPackage } from "./package-status.ts";
import { buildRootTree } from "./root-tree.ts";
import { spdxDocument } from "./sbom.ts";
import { requireFixes } from "./version-floor.ts";

export interface DindImageOptions {
  /** The tar to write: an OCI image layout. */
  readonly file: string;
  /** Full name of the image. */
  readonly name: string;
  /** Debian code name; one whose engine and runc have the required fixes when absent. */
  readonly suite?: string;
  /** Folder of .deb files to build from instead of the machine's mirror. */
  readonly archives?: string;
  /** Seconds since the epoch for every time in the image (SOURCE_DATE_EPOCH); 0 when absent. */
  readonly epoch?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (message: string) => void;
}

export interface BuiltDindImage {
  readonly name: string;
  readonly file: string;
  /** Digest of the manifest; the same packages and epoch give the same. */
  readonly digest: Digest;
  readonly engine: string;
  readonly runc: string;
  readonly packages: number;
  /** SPDX document. */
  readonly sbom: string;
}

/**
 * Builds the image that DinD containers run, from Debian packages. Throws `DIND_ENGINE_OUTDATED` before anything is
 * built when they lack fixes.
 */
export async function buildDindImage(options: DindImageOptions): Promise<BuiltDindImage> {
  const { signal, onProgress, epoch = 0 } = options;
  await using folder = await workFolder();
  const archives = options.archives ?? join(folder.path, "debs");
  if (options.archives === undefined) {
    const suite = options.suite ?? defaultSuite;
    onProgress?.(`downloading packages of Debian ${suite}`);
    await mkdir(archives);
    const request = { suite, packages: defaultPackages, folder: archives };
    await fetchDebianArchives({ ...request, ...(signal && { signal }) });
  }
  const packages = await readPackages(archives, signal);
  const engine = versionOf(packages, "docker.io");
  const runc = versionOf(packages, "runc");
  requireFixes("engine", engine, options.name);
  requireFixes("runc", runc, options.name);
  onProgress?.(`unpacking ${packages.length} packages`);
  const sbom = spdxDocument(options.name, packages, epoch, `https://aeon.invalid/spdx/${options.name}`);
  const root = join(folder.path, "root");
  await mkdir(root);
  await buildRootTree({ root, packages, sbom, ...(signal && { signal }) });
  onProgress?.("packing the image");
  const layer = join(folder.path, "layer.tar");
  await packTree(root, layer, epoch, signal);
  const layout = await ImageLayout.create(join(folder.path, "layout"));
  const digest = await writeImage(layout, { layer, name: options.name, engine, runc, epoch });
  await mkdir(dirname(options.file), { recursive: true });
  const partial = `${options.file}.partial`;
  await packLayout(layout, partial);
  await rename(partial, options.file);
  return { name: options.name, file: options.file, digest, engine, runc, packages: packages.length, sbom };
}

/** Empty for a package that is not there, which no floor accepts. */
const versionOf = (packages: readonly DebianPackage[], name: string): string =>
  packages.find((entry) => entry.name === name)?.version ?? "";

/** One tar whose bytes depend on the tree alone. Everything belongs to root, and nothing is set-id: D needs neither. */
async function packTree(root: string, file: string, epoch: number, signal?: AbortSignal): Promise<void> {
  const fixed = [
    "--sort=name",
    `--mtime=@${epoch}`,
    "--owner=0",
    "--group=0",
    "--numeric-owner",
    "--format=gnu",
  ];
  const args = [...fixed, "--mode=ug-s", "--create", "--file", file, "--directory", root, "."];
  await runProgram("tar", args, { timeoutMs: 600_000, ...(signal && { signal }) });
}

async function writeImage(
  layout: ImageLayout,
  image: {
    readonly layer: string;
    readonly name: string;
    readonly engine: string;
    readonly runc: string;
    readonly epoch: number;
  },
): Promise<Digest> {
  const layer = await layout.writeBlob(createReadStream(image.layer), mediaTypes.layer);
  const platform = { architecture: machineArchitecture(), os: "linux" };
  const config = await layout.writeJson(
    {
      ...platform,
      created: new Date(image.epoch * 1000).toISOString(),
      config: {
        Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        Entrypoint: [`/${initPath}`],
        Labels: {
          [imageLabels.engine]: image.engine,
          [imageLabels.runc]: image.runc,
          [imageLabels.sbom]: `/${sbomPath}`,
        },
      },
      rootfs: { type: "layers", diff_ids: [layer.digest] },
    },
    mediaTypes.config,
  );
  const manifest = await layout.writeJson(
    { schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers: [layer] },
    mediaTypes.manifest,
  );
  await layout.tag({ ...manifest, platform }, image.name);
  return manifest.digest;
}

async function workFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "aeon-dindimage-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
