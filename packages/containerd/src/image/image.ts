import { create } from "@bufbuild/protobuf";
import { FieldMaskSchema } from "@bufbuild/protobuf/wkt";
import { images } from "@aeon/proto";
import { isAeonError, snapshotKey, type Labels } from "@aeon/core";
import {
  chainId,
  isIndexType,
  machineArchitecture,
  parseConfig,
  parseIndex,
  parseManifest,
  type Descriptor,
  type Digest,
  type ImageConfig,
  type ImageManifest,
} from "@aeon/oci";
import type { Connection } from "../connection.ts";
import { ContentStore } from "../content/content-store.ts";
import { errors } from "../errors.ts";
import type { CallOptions, GrpcClient } from "../grpc/service-types.ts";
import { withLease } from "../leases.ts";
import { SnapshotClient } from "../snapshots.ts";
import { descriptorMessage, descriptorOf, labelMask, nanosOf, required } from "../values.ts";
import { unpack } from "./unpack.ts";

/** A manifest and its config for one platform, as the content store holds them. */
export interface ResolvedImage {
  readonly descriptor: Descriptor;
  readonly manifest: ImageManifest;
  readonly config: ImageConfig;
}

/** Indexes may nest; real ones do so once. */
const maxDepth = 4;

/** An image record and the content behind it. */
export class Image {
  readonly name: string;
  /** Index or manifest. */
  readonly target: Descriptor;
  readonly labels: Labels;
  /** Nanoseconds since the epoch. */
  readonly createdAt: bigint;
  readonly updatedAt: bigint;
  readonly #connection: Connection;
  /** What a digest names never changes. */
  #resolved: ResolvedImage | undefined;

  constructor(connection: Connection, image: images.Image | undefined) {
    const { name, target, labels, createdAt, updatedAt } = required(image, "image");
    this.#connection = connection;
    this.name = name;
    this.target = descriptorOf(target);
    this.labels = labels;
    this.createdAt = nanosOf(createdAt);
    this.updatedAt = nanosOf(updatedAt);
  }

  /** Manifest and config for this machine. Throws `IMAGE_PLATFORM_MISSING`. */
  async resolve(options?: CallOptions): Promise<ResolvedImage> {
    return (this.#resolved ??= await this.#find(options));
  }

  async #find(options: CallOptions | undefined): Promise<ResolvedImage> {
    const store = new ContentStore(this.#connection);
    const found = await findManifest(store, this.target, options);
    if (found === undefined)
      throw errors.IMAGE_PLATFORM_MISSING(
        `image ${this.name} has no manifest for linux/${machineArchitecture()} in the content store`,
      );
    return found;
  }

  async config(options?: CallOptions): Promise<ImageConfig> {
    return (await this.resolve(options)).config;
  }

  /** Name of the committed snapshot that holds all layers; undefined for an image without layers. */
  async chainId(options?: CallOptions): Promise<Digest | undefined> {
    return chainId((await this.config(options)).rootfs.diff_ids);
  }

  async isUnpacked(snapshotter: string, options?: CallOptions): Promise<boolean> {
    const chain = await this.chainId(options);
    if (chain === undefined) return true;
    try {
      await new SnapshotClient(this.#connection, snapshotter).stat(
        { key: snapshotKey(chain) },
        callContext(options),
      );
      return true;
    } catch (error) {
      if (isAeonError(error, "not-found")) return false;
      throw error;
    }
  }

  /** Extracts the layers into snapshots, those that are not there yet. */
  async unpack(snapshotter: string, options?: CallOptions): Promise<void> {
    const image = await this.resolve(options);
    await withLease(this.#connection, (leased) => unpack(leased, image, snapshotter, options));
  }
}

const callContext = (options: CallOptions | undefined) =>
  options?.signal === undefined ? {} : { signal: options.signal };

async function findManifest(
  store: ContentStore,
  descriptor: Descriptor,
  options: CallOptions | undefined,
  depth = 0,
): Promise<ResolvedImage | undefined> {
  if (!(await store.has(descriptor.digest, options))) return undefined;
  const document = await store.readDocument(descriptor, options);
  if (!isIndexType(descriptor.mediaType)) {
    const manifest = parseManifest(document);
    if (!(await store.has(manifest.config.digest, options))) return undefined;
    const config = parseConfig(await store.readDocument(manifest.config, options));
    const fits = config.os === "linux" && config.architecture === machineArchitecture();
    return fits ? { descriptor, manifest, config } : undefined;
  }
  if (depth === maxDepth) return undefined;
  for (const child of parseIndex(document).manifests) {
    if (child.platform !== undefined && child.platform.architecture !== machineArchitecture()) continue;
    const found = await findManifest(store, child, options, depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** containerd's image records. */
export class Images {
  readonly #connection: Connection;
  readonly #api: GrpcClient<typeof images.Images>;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#api = connection.service(images.Images);
  }

  async get(name: string, options?: CallOptions): Promise<Image> {
    return new Image(this.#connection, (await this.#api.get({ name }, options)).image);
  }

  async list(filters: readonly string[] = [], options?: CallOptions): Promise<readonly Image[]> {
    const reply = await this.#api.list({ filters: [...filters] }, options);
    return reply.images.map((image) => new Image(this.#connection, image));
  }

  /** Points a name at a manifest or index, whether the name exists or not. */
  async put(
    image: { readonly name: string; readonly target: Descriptor; readonly labels?: Labels },
    options?: CallOptions,
  ): Promise<Image> {
    const { name, labels = {} } = image;
    const record = { name, target: descriptorMessage(image.target), labels };
    try {
      return new Image(this.#connection, (await this.#api.create({ image: record }, options)).image);
    } catch (error) {
      if (!isAeonError(error, "already-exists")) throw error;
      const paths = ["target", ...labelMask(labels).paths];
      const updateMask = create(FieldMaskSchema, { paths });
      return new Image(
        this.#connection,
        (await this.#api.update({ image: record, updateMask }, options)).image,
      );
    }
  }

  /** With `sync` the answer comes after the garbage collection that follows. */
  async delete(name: string, how: { readonly sync?: boolean } = {}, options?: CallOptions): Promise<void> {
    await this.#api.delete({ name, sync: how.sync ?? false }, options);
  }
}
