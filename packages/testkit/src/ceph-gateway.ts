import { readFile } from "node:fs/promises";
import { fetchPackageTree, untilReady, type Daemon } from "@aeon/standalone";
import type { CephPorts } from "./ceph-config.ts";
import { CephPrograms } from "./ceph-programs.ts";
import { freePorts } from "./free-ports.ts";
import { testCache } from "./launch-containerd.ts";
import { opens } from "./opens.ts";
import { temporaryFolder, type TemporaryFolder } from "./temporary-folder.ts";

/** A real S3 service with an empty store of its own, on the loopback interface, plain and over TLS at once. */
export interface CephGateway extends AsyncDisposable {
  /** Such as `http://127.0.0.1:41234`; the same after {@link start}. */
  readonly endpoint: string;
  /** The same store over TLS, under `127.0.0.1`, `localhost`, and `BUCKET.s3.localhost` with the bucket as a host name. */
  readonly tlsEndpoint: string;
  /** Certificate (PEM) that a client has to trust for {@link tlsEndpoint}. */
  readonly ca: string;
  /** Path of the same certificate. */
  readonly caFile: string;
  readonly accessKey: string;
  readonly secretKey: string;
  /** As of the Debian package. */
  readonly version: string;
  /** Folder of the cluster with its logs. */
  readonly folder: string;
  /** The gateway's process; undefined while it is down. */
  readonly pid: number | undefined;
  /** Makes another user, who may do with buckets of the first one what a policy says. */
  addUser(accessKey: string, secretKey: string): Promise<void>;
  /** Adds a further key pair to the first user. */
  addKey(accessKey: string, secretKey: string): Promise<void>;
  /** Takes a key pair away from the first user. */
  removeKey(accessKey: string): Promise<void>;
  /** Brings the gateway up again after {@link kill}, on the same ports with the same objects. */
  start(): Promise<void>;
  /** Ends the gateway with SIGKILL; connections are reset and new ones refused. */
  kill(): Promise<void>;
}

const readyMs = 60_000;
const user = "aeon";

/**
 * Starts a Ceph cluster of three processes from Debian trixie's packages, which are fetched once per machine (140 MB)
 * and run through their own loader. Takes 5 s and 250 MB of memory, which grows by what is stored. Throws
 * `PACKAGE_UNAVAILABLE` naming what cannot be had.
 */
export async function launchCephGateway(): Promise<CephGateway> {
  const { root, version } = await fetchPackageTree({
    cache: testCache,
    suite: "trixie",
    name: "radosgw",
    with: ["ceph-mon", "ceph-osd"],
  });
  const folder = await temporaryFolder("s3");
  const gateway = new Gateway(new CephPrograms(root, folder.path), folder, version, await cephPorts());
  try {
    await gateway.prepare();
    return gateway;
  } catch (error) {
    await gateway[Symbol.asyncDispose]();
    throw error;
  }
}

async function cephPorts(): Promise<CephPorts> {
  const [monitor = 0, plain = 0, tls = 0] = await freePorts(3);
  return { monitor, plain, tls };
}

class Gateway implements CephGateway {
  readonly accessKey = "aeon-access-key";
  readonly secretKey = "aeon-secret-key-0123456789";
  readonly version: string;
  readonly #programs: CephPrograms;
  readonly #owned: TemporaryFolder;
  readonly #ports: CephPorts;
  readonly #below: Daemon[] = [];
  #daemon: Daemon | undefined;
  #ca = "";

  constructor(programs: CephPrograms, owned: TemporaryFolder, version: string, ports: CephPorts) {
    this.#programs = programs;
    this.#owned = owned;
    this.#ports = ports;
    this.version = version;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#ports.plain}`;
  }
  get tlsEndpoint(): string {
    return `https://127.0.0.1:${this.#ports.tls}`;
  }
  get ca(): string {
    return this.#ca;
  }
  get caFile(): string {
    return this.#programs.caFile;
  }
  get folder(): string {
    return this.#owned.path;
  }
  get pid(): number | undefined {
    return this.#daemon?.running ? this.#daemon.pid : undefined;
  }

  async prepare(): Promise<void> {
    await this.#programs.makeCertificate();
    this.#ca = await readFile(this.caFile, "utf8");
    await this.#programs.makeCluster(this.#ports);
    this.#below.push(await this.#programs.start("ceph-mon", ["--id", "a"]));
    this.#below.push(await this.#programs.start("ceph-osd", ["--id", "0"]));
    // Waits for the monitor and the OSD by itself.
    await this.#create(user, this.accessKey, this.secretKey);
    await this.start();
  }

  async addUser(accessKey: string, secretKey: string): Promise<void> {
    await this.#create(accessKey, accessKey, secretKey);
  }

  async addKey(accessKey: string, secretKey: string): Promise<void> {
    await this.#programs.admin([
      "key",
      "create",
      "--key-type=s3",
      `--uid=${user}`,
      `--access-key=${accessKey}`,
      `--secret-key=${secretKey}`,
    ]);
  }

  async removeKey(accessKey: string): Promise<void> {
    await this.#programs.admin(["key", "rm", "--key-type=s3", `--uid=${user}`, `--access-key=${accessKey}`]);
  }

  async start(): Promise<void> {
    if (this.#daemon?.running) return;
    const daemon = await this.#programs.start("radosgw", ["--name", "client.rgw"]);
    this.#daemon = daemon;
    const failure = await untilReady(daemon, () => this.#answers(daemon), readyMs);
    if (failure !== undefined)
      throw new Error(`the Ceph gateway did not start: ${failure}\n${await daemon.logTail()}`);
  }

  async kill(): Promise<void> {
    await this.#daemon?.end("SIGKILL", 1000);
  }

  async #create(uid: string, accessKey: string, secretKey: string): Promise<void> {
    await this.#programs.admin([
      "user",
      "create",
      `--uid=${uid}`,
      `--display-name=${uid}`,
      `--access-key=${accessKey}`,
      `--secret-key=${secretKey}`,
    ]);
  }

  async #answers(daemon: Daemon): Promise<boolean> {
    if (!(await opens(this.#ports.tls))) return false;
    const response = await fetch(this.endpoint, { signal: AbortSignal.timeout(2000) }).catch(() => undefined);
    // The port may be answered by somebody else while this one is about to end.
    return response?.ok === true && daemon.running && (await response.text()).includes("ListAllMyBuckets");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    // Nothing of it is needed any more, so nobody waits for it to be written.
    for (const daemon of this.#below.toReversed()) await daemon.end("SIGKILL", 1000);
    await this.#owned[Symbol.asyncDispose]();
  }
}
