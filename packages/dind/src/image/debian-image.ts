import { createReadStream, existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { errnoOf } from "@aeon/core";
import { ImageLayout, machineArchitecture, mediaTypes, packLayout, type Digest } from "@aeon/oci";
import { runProgram } from "../system/run-program.ts";
import { fetchDebianArchives } from "./debian-archives.ts";
import { readPackages, type DebianPackage } from "./package-status.ts";
import { buildRootTree, type TreeRecipe } from "./root-tree.ts";
import { debianPart, spdxDocument, type BomPart } from "./sbom.ts";

/** What is in an image that is made from Debian packages and a few files of its own. */
export interface DebianImageRecipe extends TreeRecipe {
  /** Names of packages; all that they depend on come along. */
  readonly packages: readonly string[];
  /** Debian code name. */
  readonly suite: string;
  /** First program of a container, with its first arguments. */
  readonly entrypoint: readonly string[];
  /** Labels of the image's configuration. Throws where the packages will not do, before anything is built. */
  readonly labels?: (packages: readonly DebianPackage[]) => Readonly<Record<string, string>>;
  /** What the image holds beside packages, for the bill of materials. */
  readonly parts?: readonly BomPart[];
  /** The program that makes the image, for the bill of materials. */
  readonly tool: string;
}

export interface DebianImageOptions {
  /** The tar to write: an OCI image layout. */
  readonly file: string;
  /** Full name of the image. */
  readonly name: string;
  readonly recipe: DebianImageRecipe;
  /** Folder of .deb files to build from instead of the machine's mirror; one that is not there gets what is downloaded. */
  readonly archives?: string;
  /** Seconds since the epoch for every time in the image (SOURCE_DATE_EPOCH); 0 when absent. */
  readonly epoch?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (message: string) => void;
}

export interface BuiltImage {
  readonly name: string;
  readonly file: string;
  /** Digest of the manifest; the same packages, files and epoch give the same. */
  readonly digest: Digest;
  readonly packages: readonly DebianPackage[];
  /** SPDX document. */
  readonly sbom: string;
}

/** Builds an image without running anything of its own. The same recipe, packages and epoch give the same bytes. */
export async function buildDebianImage(options: DebianImageOptions): Promise<BuiltImage> {
  const { signal, onProgress, recipe, epoch = 0 } = options;
  await using folder = await workFolder();
  const archives = options.archives ?? join(folder.path, "debs");
  if (!existsSync(archives)) {
    onProgress?.(`downloading packages of Debian ${recipe.suite}`);
    await download(recipe, archives, signal);
  }
  const packages = await readPackages(archives, signal);
  const labels = recipe.labels?.(packages) ?? {};
  onProgress?.(`unpacking ${packages.length} packages`);
  const sbom = spdxDocument({
    name: options.name,
    parts: [...packages.map(debianPart), ...(recipe.parts ?? [])],
    tool: recipe.tool,
    epoch,
  });
  const root = join(folder.path, "root");
  await mkdir(root);
  await buildRootTree({ root, packages, sbom, recipe, ...(signal && { signal }) });
  onProgress?.("packing the image");
  const layer = join(folder.path, "layer.tar");
  await packTree(root, layer, epoch, signal);
  const layout = await ImageLayout.create(join(folder.path, "layout"));
  const digest = await writeImage(layout, { layer, name: options.name, recipe, labels, epoch });
  await mkdir(dirname(options.file), { recursive: true });
  const partial = `${options.file}.partial`;
  await packLayout(layout, partial);
  await rename(partial, options.file);
  return { name: options.name, file: options.file, digest, packages, sbom };
}

/** The folder is whole where it exists. */
async function download(recipe: DebianImageRecipe, archives: string, signal?: AbortSignal): Promise<void> {
  await mkdir(dirname(archives), { recursive: true });
  const folder = await mkdtemp(`${archives}.`);
  try {
    const request = { suite: recipe.suite, packages: recipe.packages, folder };
    await fetchDebianArchives({ ...request, ...(signal && { signal }) });
    await rename(folder, archives).catch((error: unknown) => {
      // Another build was first, with the same.
      if (!["ENOTEMPTY", "EEXIST"].includes(errnoOf(error) ?? "")) throw error;
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** One tar whose bytes depend on the tree alone. Everything belongs to root, and nothing is set-id: no image needs either. */
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
    readonly recipe: DebianImageRecipe;
    readonly labels: Readonly<Record<string, string>>;
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
        Entrypoint: [...image.recipe.entrypoint],
        Labels: image.labels,
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
  const path = await mkdtemp(join(tmpdir(), "aeon-image-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
