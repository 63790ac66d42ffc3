import { join } from "node:path";
import { Daemon, untilReady } from "@aeon/standalone";
import { freePorts } from "../free-ports.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { kubernetesProgram } from "./binaries.ts";

/** A real, empty etcd of one member on the loopback interface. */
export interface Etcd extends AsyncDisposable {
  /** Such as `http://127.0.0.1:41234`. */
  readonly url: string;
  readonly pid: number;
}

/** Starts an etcd on plain HTTP; disposing ends it and removes its data. */
export async function startEtcd(): Promise<Etcd> {
  const program = await kubernetesProgram("etcd");
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await temporaryFolder("etcd"));
  const [client = 0, peer = 0] = await freePorts(2);
  const url = `http://127.0.0.1:${client}`;
  const peers = `http://127.0.0.1:${peer}`;
  const daemon = await Daemon.start({
    program,
    args: Object.entries({
      name: "test",
      "data-dir": join(folder.path, "data"),
      logger: "zap",
      "log-level": "error",
      "listen-client-urls": url,
      "advertise-client-urls": url,
      "listen-peer-urls": peers,
      "initial-advertise-peer-urls": peers,
      "initial-cluster": `test=${peers}`,
      "quota-backend-bytes": 4 * 2 ** 30,
    }).map(([flag, value]) => `--${flag}=${value}`),
    cwd: folder.path,
    // Debian's package would not start on arm64 otherwise.
    env: { ETCD_UNSUPPORTED_ARCH: process.arch },
    log: join(folder.path, "etcd.log"),
  });
  stack.defer(() => daemon.end("SIGKILL", 1000));
  const failure = await untilReady(daemon, () => isHealthy(url), 30_000);
  if (failure !== undefined) throw new Error(`etcd did not start: ${failure}\n${await daemon.logTail()}`);
  const owned = stack.move();
  return { url, pid: daemon.pid, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function isHealthy(url: string): Promise<boolean> {
  const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(2000) }).catch(() => undefined);
  return response?.ok === true && (await response.text()).includes("true");
}
