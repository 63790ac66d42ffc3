import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { errorMessage } from "@aeon/core";
import { Daemon, run, type RunResult } from "@aeon/standalone";
import { cephConfig, clusterId, type CephPorts } from "./ceph-config.ts";

const flags = (values: Readonly<Record<string, string>>): string[] =>
  Object.entries(values).flatMap(([name, value]) => [`-${name}`, value]);

/** Programs of Ceph's packages on one configuration, run through the packages' own loader and libraries. */
export class CephPrograms {
  readonly folder: string;
  readonly #root: string;
  readonly #libraries: string;
  readonly #loader: string;

  constructor(root: string, folder: string) {
    this.#root = root;
    this.folder = folder;
    const [triplet, loader] =
      process.arch === "arm64"
        ? ["aarch64-linux-gnu", "ld-linux-aarch64.so.1"]
        : ["x86_64-linux-gnu", "ld-linux-x86-64.so.2"];
    this.#libraries = join(root, "usr/lib", triplet);
    this.#loader = join(this.#libraries, loader);
  }

  get caFile(): string {
    return join(this.folder, "certificate.pem");
  }

  /** A self-signed certificate for the loopback interface. */
  async makeCertificate(): Promise<void> {
    await this.#run("openssl", [
      ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2".split(" "),
      ...flags({
        subj: "/CN=aeon test",
        addext: "subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:s3.localhost,DNS:*.s3.localhost",
      }),
      ...flags({ keyout: join(this.folder, "key.pem"), out: this.caFile }),
    ]);
  }

  /** Lays down an empty cluster: configuration, maps, and the folders of monitor and OSD. */
  async makeCluster(ports: CephPorts): Promise<void> {
    const { folder } = this;
    const [monitors, osds] = [join(folder, "monmap"), join(folder, "osdmap")];
    const address = `[v2:127.0.0.1:${ports.monitor}]`;
    await writeFile(
      this.#config,
      cephConfig({ ports, folder, root: this.#root, libraries: this.#libraries }),
    );
    await this.#run("monmaptool", [
      ..."--create --clobber --enable-all-features --fsid".split(" "),
      clusterId,
      "--addv",
      "a",
      address,
      monitors,
    ]);
    await this.#run("osdmaptool", [osds, "--createsimple", "1", "--clobber"]);
    await this.#run("ceph-mon", ["--id", "a", "--mkfs", "--monmap", monitors, "--osdmap", osds]);
    await mkdir(join(folder, "osd"), { recursive: true });
    await this.#run("ceph-osd", ["--id", "0", "--mkfs", "--no-mon-config"]);
  }

  /** Starts a daemon in the foreground; `ceph-mon` and `ceph-osd` by id, the gateway by name. */
  start(program: "ceph-mon" | "ceph-osd" | "radosgw", args: readonly string[]): Promise<Daemon> {
    const [file, all] = this.#command(program, [...args, "-d", "--debug-rgw=0", "--debug-rocksdb=0"]);
    return Daemon.start({
      program: file,
      args: all,
      cwd: this.folder,
      env: { CEPH_CONF: this.#config },
      log: join(this.folder, `${program}.out`),
    });
  }

  /** Runs radosgw-admin, which at times does its work and then hangs instead of ending. */
  async admin(args: readonly string[]): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#run("radosgw-admin", ["--name", "client.rgw", ...args], 8000);
        return;
      } catch (error) {
        if (attempt > 1 && errorMessage(error).includes("exist")) return;
        if (attempt === 6) throw error;
      }
    }
  }

  get #config(): string {
    return join(this.folder, "ceph.conf");
  }

  #run(program: string, args: readonly string[], timeoutMs = 60_000): Promise<RunResult> {
    const [file, all] = this.#command(program, args);
    const env = {
      PATH: "/usr/bin:/bin",
      CEPH_CONF: this.#config,
      OPENSSL_CONF: join(this.#root, "etc/ssl/openssl.cnf"),
    };
    return run(file, all, { cwd: this.folder, env, timeoutMs });
  }

  #command(program: string, args: readonly string[]): readonly [string, readonly string[]] {
    const paths = [this.#libraries, join(this.#libraries, "ceph"), join(this.#root, "usr/lib")].join(":");
    return [this.#loader, ["--library-path", paths, join(this.#root, "usr/bin", program), ...args]];
  }
}
