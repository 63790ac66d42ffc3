import { generateKeyPairSync, randomBytes } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Daemon, run, untilReady } from "@aeon/standalone";
import { freePorts } from "../free-ports.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { ApiClient } from "./api-client.ts";
import type { ApiServer, ApiServerOptions, ClusterUser, TokenOptions } from "./api-server-types.ts";
import { kubernetesProgram } from "./binaries.ts";
import { startEtcd, type Etcd } from "./etcd.ts";
import { writeKubeconfig } from "./kubeconfig.ts";
import { requestToken, serviceAccountIssuer } from "./request-token.ts";

const readyMs = 60_000;

const controlPlaneUsers: readonly ClusterUser[] = [
  { name: "admin", groups: ["system:masters"] },
  { name: "system:kube-controller-manager" },
  { name: "system:kube-scheduler" },
];

/** Starts an API server; takes about 5 s and 300 MB once its program is there. */
export async function startApiServer(options: ApiServerOptions = {}): Promise<ApiServer> {
  const program = await kubernetesProgram("kube-apiserver");
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await temporaryFolder("api"));
  const etcd = stack.use(await startEtcd());
  const host = options.address ?? "127.0.0.1";
  const [port = 0] = await freePorts(1, host);
  const server = new RealApiServer({ program, etcd, host, port, folder: folder.path, options });
  stack.defer(() => server.kill());
  await server.prepare();
  await server.start();
  const owned = stack.move();
  return Object.assign(server, { [Symbol.asyncDispose]: () => owned.disposeAsync() });
}

interface Settings {
  readonly program: string;
  readonly etcd: Etcd;
  readonly host: string;
  readonly port: number;
  readonly folder: string;
  readonly options: ApiServerOptions;
}

class RealApiServer implements Omit<ApiServer, keyof AsyncDisposable> {
  readonly #settings: Settings;
  readonly isOwn = true;
  readonly #tokens = new Map<string, string>();
  #daemon: Daemon | undefined;
  #admin: ApiClient | undefined;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  get folder(): string {
    return this.#settings.folder;
  }
  get etcd(): Etcd {
    return this.#settings.etcd;
  }
  get url(): string {
    return `https://${this.#settings.host}:${this.#settings.port}`;
  }
  get caFile(): string {
    return join(this.folder, "certificates/apiserver.crt");
  }
  get kubeconfig(): string {
    return join(this.folder, "admin.kubeconfig");
  }
  get signingKeyFile(): string {
    return join(this.folder, "accounts.key");
  }
  get pid(): number | undefined {
    return this.#daemon?.running ? this.#daemon.pid : undefined;
  }
  get admin(): ApiClient {
    if (this.#admin === undefined) throw new Error("the API server was not started");
    return this.#admin;
  }

  async prepare(): Promise<void> {
    const { users = [], nodes = [] } = this.#settings.options;
    const all = [
      ...controlPlaneUsers,
      ...nodes.map((name): ClusterUser => ({ name: `system:node:${name}`, groups: ["system:nodes"] })),
      ...users,
    ];
    const lines = all.map(({ name, groups = [] }) => {
      const token = randomBytes(24).toString("base64url");
      this.#tokens.set(name, token);
      return `${token},${name},${name},"${groups.join(",")}"\n`;
    });
    await mkdir(join(this.folder, "certificates"), { mode: 0o700 });
    await writeFile(join(this.folder, "tokens.csv"), lines.join(""), { mode: 0o600 });
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    await writeFile(this.signingKeyFile, privateKey.export({ type: "pkcs1", format: "pem" }), {
      mode: 0o600,
    });
  }

  async start(): Promise<void> {
    if (this.#daemon?.running) return;
    const daemon = await Daemon.start({
      program: this.#settings.program,
      args: this.#flags(),
      cwd: this.folder,
      log: join(this.folder, "kube-apiserver.log"),
    });
    this.#daemon = daemon;
    const failure = await untilReady(daemon, () => this.#isReady(), readyMs);
    if (failure !== undefined)
      throw new Error(`kube-apiserver did not start: ${failure}\n${await this.logTail()}`);
    await this.kubeconfigOf("admin");
  }

  async kill(): Promise<void> {
    await this.#daemon?.end("SIGKILL", 1000);
  }

  async logTail(): Promise<string> {
    return (await this.#daemon?.logTail()) ?? "";
  }

  tokenOf(user: string): string {
    const token = this.#tokens.get(user);
    if (token === undefined) throw new Error(`no user ${user} was named when the API server was started`);
    return token;
  }

  kubeconfigOf(user: string): Promise<string> {
    const file = join(this.folder, `${user.replaceAll(/[^\w-]/g, "-")}.kubeconfig`);
    return writeKubeconfig(file, { url: this.url, caFile: this.caFile, token: this.tokenOf(user) });
  }

  serviceAccountToken(namespace: string, name: string, options?: TokenOptions): Promise<string> {
    return requestToken(this.admin, namespace, name, options);
  }

  async serviceAccountKubeconfig(namespace: string, name: string): Promise<string> {
    const token = await this.serviceAccountToken(namespace, name);
    return writeKubeconfig(join(this.folder, `account-${namespace}-${name}.kubeconfig`), {
      url: this.url,
      caFile: this.caFile,
      token,
      namespace,
    });
  }

  async kubectl(args: readonly string[], input?: string): Promise<string> {
    const program = await kubernetesProgram("kubectl");
    const home = join(this.folder, "home");
    const { stdout } = await run(program, ["--kubeconfig", this.kubeconfig, ...args], {
      env: { PATH: process.env["PATH"], HOME: home },
      ...(input !== undefined && { input }),
    });
    return stdout;
  }

  async #isReady(): Promise<boolean> {
    const ca = await readFile(this.caFile, "utf8").catch(() => undefined);
    if (ca === undefined) return false;
    this.#admin ??= new ApiClient({ url: this.url, ca, token: this.tokenOf("admin") });
    // RBAC's own roles are written by a hook after the port opens.
    const answer = await this.#admin.request("GET", "/readyz").catch(() => undefined);
    return answer?.status === 200;
  }

  #flags(): readonly string[] {
    const { host, port, etcd, options } = this.#settings;
    return [
      `--etcd-servers=${etcd.url}`,
      `--bind-address=${host}`,
      `--advertise-address=${host}`,
      `--secure-port=${port}`,
      "--insecure-port=0",
      `--cert-dir=${join(this.folder, "certificates")}`,
      `--token-auth-file=${join(this.folder, "tokens.csv")}`,
      "--authorization-mode=Node,RBAC",
      `--service-account-issuer=${serviceAccountIssuer}`,
      `--service-account-signing-key-file=${this.signingKeyFile}`,
      `--service-account-key-file=${this.signingKeyFile}`,
      `--api-audiences=${serviceAccountIssuer}`,
      "--service-cluster-ip-range=10.219.0.0/16",
      "--endpoint-reconciler-type=none",
      "--allow-privileged=true",
      "--kubelet-preferred-address-types=InternalIP",
      "--enable-admission-plugins=NodeRestriction",
      ...(options.serviceAccounts ? [] : ["--disable-admission-plugins=ServiceAccount"]),
      ...(options.flags ?? []),
    ];
  }
}
