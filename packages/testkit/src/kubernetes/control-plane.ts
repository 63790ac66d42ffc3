import { join } from "node:path";
import { Daemon, untilReady } from "@aeon/standalone";
import { freePorts } from "../free-ports.ts";
import { opens } from "../opens.ts";
import { startApiServer } from "./api-server.ts";
import type { ApiServer, ApiServerOptions } from "./api-server-types.ts";
import { kubernetesProgram } from "./binaries.ts";

export interface ControlPlaneOptions extends Omit<ApiServerOptions, "serviceAccounts"> {
  /** More flags for kube-controller-manager. */
  readonly managerFlags?: readonly string[];
}

/** An API server with controller manager and scheduler. */
export interface ControlPlane extends ApiServer {
  readonly managerPid: number;
}

/**
 * Starts API server, controller manager and scheduler. Nodes count as lost after 12 s without a heartbeat and their
 * pods go at once, so that tests need not wait five minutes.
 */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startApiServer({ ...options, serviceAccounts: true }));
  const [managerPort = 0, schedulerPort = 0] = await freePorts(2);
  const manager = await startPart(server, "kube-controller-manager", managerPort, [
    "--controllers=*,bootstrapsigner,tokencleaner",
    "--use-service-account-credentials=true",
    `--service-account-private-key-file=${server.signingKeyFile}`,
    `--root-ca-file=${server.caFile}`,
    "--node-monitor-period=1s",
    "--node-monitor-grace-period=12s",
    "--pod-eviction-timeout=1s",
    ...(options.managerFlags ?? []),
  ]);
  stack.defer(() => manager.end("SIGKILL", 1000));
  const scheduler = await startPart(server, "kube-scheduler", schedulerPort, []);
  stack.defer(() => scheduler.end("SIGKILL", 1000));
  // Pods are refused before their namespace has an account.
  await server.admin.until("/api/v1/namespaces/default/serviceaccounts/default", () => true);
  const owned = stack.move();
  return Object.assign(server, {
    managerPid: manager.pid,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  });
}

async function startPart(
  server: ApiServer,
  name: "kube-controller-manager" | "kube-scheduler",
  port: number,
  flags: readonly string[],
): Promise<Daemon> {
  const kubeconfig = await server.kubeconfigOf(`system:${name}`);
  const daemon = await Daemon.start({
    program: await kubernetesProgram(name),
    args: [
      `--kubeconfig=${kubeconfig}`,
      `--authentication-kubeconfig=${kubeconfig}`,
      `--authorization-kubeconfig=${kubeconfig}`,
      "--bind-address=127.0.0.1",
      `--secure-port=${port}`,
      "--port=0",
      "--leader-elect=false",
      `--cert-dir=${join(server.folder, name)}`,
      ...flags,
    ],
    cwd: server.folder,
    log: join(server.folder, `${name}.log`),
  });
  const failure = await untilReady(daemon, () => opens(port), 30_000);
  if (failure === undefined) return daemon;
  await daemon.end("SIGKILL", 1000);
  throw new Error(`${name} did not start: ${failure}\n${await daemon.logTail()}`);
}
