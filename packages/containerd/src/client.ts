import type { Readable } from "node:stream";
import { containers } from "@aeon/proto";
import type { ChannelOptions } from "@grpc/grpc-js";
import { Connection } from "./connection.ts";
import { Container, containerInfoOf, type ContainerInfo } from "./container.ts";
import { ContentStore } from "./content/content-store.ts";
import { createContainer, type CreateContainerOptions } from "./create-container.ts";
import { Differ } from "./diff.ts";
import { subscribe, type ContainerdEvent, type SubscribeOptions } from "./events/subscribe.ts";
import { GrpcChannel } from "./grpc/channel.ts";
import { checkSocketPath } from "./grpc/socket-path.ts";
import type { AnyService, CallOptions, GrpcClient } from "./grpc/service-types.ts";
import { Images, type Image } from "./image/image.ts";
import type { ImportOptions } from "./image/import-image.ts";
import {
  pluginsOf,
  serverOf,
  versionOf,
  type PluginInfo,
  type ServerInfo,
  type ServerVersion,
} from "./introspection.ts";
import { Leases, withLease, type NewLease } from "./leases.ts";
import { Namespaces } from "./namespaces.ts";
import { sandboxesOf, type SandboxInfo } from "./sandboxes.ts";
import { SnapshotClient } from "./snapshots.ts";

export interface ConnectOptions {
  /** Path of containerd's gRPC socket; `/run/containerd/containerd.sock` when absent. */
  readonly address?: string;
  /** containerd namespace; `default` when absent. */
  readonly namespace?: string;
  /** Existing folder for the named pipes of processes, seen by containerd under the same path; the system's folder for temporary files when absent. */
  readonly ioFolder?: string;
  /** grpc-js settings on top of aeon's. */
  readonly channelOptions?: ChannelOptions;
  /** Ends the wait for containerd's first answer. */
  readonly signal?: AbortSignal;
}

/** A containerd seen from one namespace. Calls fail with AeonErrors that carry containerd's code. */
export class Client implements AsyncDisposable {
  readonly namespaces: Namespaces;
  readonly images: Images;
  readonly content: ContentStore;
  readonly leases: Leases;
  readonly diff: Differ;
  readonly #connection: Connection;
  readonly #owner: boolean;

  constructor(connection: Connection, owner: boolean) {
    this.#connection = connection;
    this.#owner = owner;
    this.namespaces = new Namespaces(connection);
    this.images = new Images(connection);
    this.content = new ContentStore(connection);
    this.leases = new Leases(connection);
    this.diff = new Differ(connection);
  }

  get address(): string {
    return this.#connection.channel.address;
  }

  get namespace(): string {
    return this.#connection.caller.namespace ?? "";
  }

  /** The lease whose protection what this client makes has. */
  get lease(): string | undefined {
    return this.#connection.caller.lease;
  }

  /** The same connection seen from another namespace; ends with this client. */
  withNamespace(namespace: string): Client {
    return new Client(this.#connection.as({ namespace }), false);
  }

  /**
   * Runs `work` with a client whose lease protects everything made through it from containerd's garbage collector;
   * the lease goes when the work is done.
   */
  async withLease<T>(work: (client: Client) => Promise<T>, lease: NewLease = {}): Promise<T> {
    return withLease(this.#connection, (leased) => work(new Client(leased, false)), lease);
  }

  version(options?: CallOptions): Promise<ServerVersion> {
    return versionOf(this.#connection, options);
  }

  server(options?: CallOptions): Promise<ServerInfo> {
    return serverOf(this.#connection, options);
  }

  /** Filters such as `type==io.containerd.snapshotter.v1`; none lists all. */
  plugins(filters: readonly string[] = [], options?: CallOptions): Promise<readonly PluginInfo[]> {
    return pluginsOf(this.#connection, filters, options);
  }

  /** A snapshotter by containerd's name for it. */
  snapshotter(name: string): SnapshotClient {
    return new SnapshotClient(this.#connection, name);
  }

  /** Events of all namespaces; see {@link subscribe}. */
  events(options?: SubscribeOptions): AsyncGenerator<ContainerdEvent, void, undefined> {
    return subscribe(this.#connection, options);
  }

  /** Reads an OCI layout or Docker archive (tar) and makes its images. */
  async import(tar: Readable, how: ImportOptions = {}, options?: CallOptions): Promise<readonly Image[]> {
    // The stream may fail before it is read; reading it then tells.
    tar.once("error", () => {});
    const { importImages } = await import("./image/import-image.ts");
    const made = await this.withLease((leased) => importImages(leased.#connection, tar, how, options));
    return Promise.all(made.map(({ name }) => this.images.get(name, options)));
  }

  /** Makes a container on a new writable snapshot of an image. */
  async createContainer(id: string, options: CreateContainerOptions, call?: CallOptions): Promise<Container> {
    await this.withLease((leased) => createContainer(leased.#connection, id, options, call));
    return this.container(id);
  }

  /** A container by id, whether it exists or not. */
  container(id: string): Container {
    return new Container(this.#connection, id);
  }

  /** Container records; filters such as `labels."key"==value`. */
  async containers(
    filters: readonly string[] = [],
    options?: CallOptions,
  ): Promise<readonly ContainerInfo[]> {
    const found: ContainerInfo[] = [];
    // A plain List stops working when all records together pass the message limit.
    const replies = this.service(containers.Containers).listStream({ filters: [...filters] }, options);
    for await (const { container } of replies) found.push(containerInfoOf(container));
    return found;
  }

  /** Sandbox records: pods, if CRI runs on containerd 2.0 or later. */
  sandboxes(filters: readonly string[] = [], options?: CallOptions): Promise<readonly SandboxInfo[]> {
    return sandboxesOf(this.#connection, filters, options);
  }

  /** The plain typed client of any service behind the socket. */
  service<Service extends AnyService>(service: Service): GrpcClient<Service> {
    return this.#connection.service(service);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#owner) this.#connection.channel[Symbol.dispose]();
  }
}

/** Connects to containerd and makes sure that it answers. */
export async function connect(options: ConnectOptions = {}): Promise<Client> {
  const client = open(options);
  try {
    await client.version(options.signal && { signal: options.signal });
    return client;
  } catch (error) {
    await client[Symbol.asyncDispose]();
    throw error;
  }
}

/** A client that connects with its first call, for daemons that must start before containerd does. */
export function open(options: ConnectOptions = {}): Client {
  const {
    address = "/run/containerd/containerd.sock",
    namespace = "default",
    channelOptions,
    ioFolder,
  } = options;
  checkSocketPath(address);
  const channel = new GrpcChannel({ address, ...(channelOptions && { channelOptions }) });
  return new Client(new Connection(channel, { namespace }, ioFolder), true);
}
