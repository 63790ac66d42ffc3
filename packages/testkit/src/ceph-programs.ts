import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { errorMessage } from "@aeon/core";
import { run, type RunResult } from "@aeon/standalone";

/** Where a gateway listens on the loopback interface. */
export interface Ports {
  readonly plain: number;
  readonly tls: number;
}

const flags = (values: Readonly<Record<string, string>>): string[] =>
  Object.entries(values).flatMap(([name, value]) => [`-${name}`, value]);

/** Programs of Ceph's packages in a folder of their own, run through the packages' own loader and libraries. */
export class CephPrograms {
  readonly root: string;
  readonly folder: string;
  readonly #loader: readonly string[];

  constructor(root: string, folder: string) {
    this.root = root;
    this.folder = folder;
    const [triplet, loader] =
      process.arch === "arm64"
        ? ["aarch64-linux-gnu", "ld-linux-aarch64.so.1"]
        : ["x86_64-linux-gnu", "ld-linux-x86-64.so.2"];
    const libraries = join(root, "usr/lib", triplet);
    this.#loader = [join(libraries, loader), "--library-path", `${libraries}:${join(libraries, "ceph")}`];
  }

  get config(): string {
    return join(this.folder, "ceph.conf");
  }
  get caFile(): string {
    return join(this.folder, "certificate.pem");
  }

  /** What every program of Ceph needs to find its configuration. */
  get options(): readonly string[] {
    return ["--conf", this.config, "--name", "client.rgw", "--no-mon-config"];
  }

  command(program: string, args: readonly string[]): readonly [string, readonly string[]] {
    const [loader = "", ...rest] = this.#loader;
    return [loader, [...rest, join(this.root, "usr/bin", program), ...args]];
  }

  run(program: string, args: readonly string[], timeoutMs = 60_000): Promise<RunResult> {
    const [file, all] = this.command(program, args);
    return run(file, all, {
      cwd: this.folder,
      env: { PATH: "/usr/bin:/bin", OPENSSL_CONF: join(this.root, "etc/ssl/openssl.cnf") },
      timeoutMs,
    });
  }

  /** Runs radosgw-admin, which at times (1 in 40) does its work and then hangs instead of ending. */
  async admin(args: readonly string[]): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.run("radosgw-admin", [...this.options, ...args], 5000);
        return;
      } catch (error) {
        if (attempt > 1 && errorMessage(error).includes("exist")) return;
        if (attempt === 4) throw error;
      }
    }
  }

  async makeCertificate(): Promise<void> {
    await this.run("openssl", [
      ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2".split(" "),
      ...flags({
        subj: "/CN=aeon test",
        addext: "subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:*.localhost",
      }),
      ...flags({ keyout: join(this.folder, "key.pem"), out: this.caFile }),
    ]);
  }

  async writeConfig({ plain, tls }: Ports): Promise<void> {
    const at = (name: string): string => join(this.folder, name);
    await writeFile(
      this.config,
      `[global]
run dir = ${this.folder}
log file = ${at("ceph.log")}
admin socket = ${at("admin.sock")}
[client.rgw]
rgw backend store = dbstore
rgw config store = dbstore
dbstore db dir = ${this.folder}
dbstore config uri = file://${at("config.db")}
rgw data = ${at("data")}
rgw mime types file = ${join(this.root, "etc/mime.types")}
rgw dns name = localhost
rgw enable usage log = false
rgw frontends = beast endpoint=127.0.0.1:${plain} ssl_endpoint=127.0.0.1:${tls} ssl_certificate=${this.caFile} ssl_private_key=${at("key.pem")}
`,
    );
  }
}
