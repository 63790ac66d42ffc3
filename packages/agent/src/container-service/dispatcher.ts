import {
  type AeonError,
  toAeonError,
  type ContainerCaller,
  type ContainerService,
  type Logger,
  type Metrics,
  type ServiceAction,
  type ServiceMessage,
  type ServiceProgress,
} from "@aeon/core";
import * as v from "valibot";
import type { Authenticator } from "./authenticator.ts";
import type { ContainerServiceConfig } from "./config.ts";
import { errors } from "./errors.ts";
import { allowedServices } from "./opted-in.ts";
import type { Caller } from "./pod-folder.ts";

/** The services that there are now. */
export interface ServiceDirectory {
  get(name: string): ContainerService | undefined;
  list(): readonly ContainerService[];
}

export interface DispatcherOptions {
  readonly services: ServiceDirectory;
  readonly authenticator: Pick<Authenticator, "identify">;
  readonly config: ContainerServiceConfig;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** A request as it came. */
export interface Incoming {
  readonly caller: Caller;
  readonly authorization: string | null;
  readonly service: string;
  readonly action: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly onProgress?: (progress: ServiceProgress) => void;
}

/** A result with the type that its action declares. */
export interface Outcome {
  readonly type: ServiceAction["result"];
  readonly message: ServiceMessage;
}

/** Lets a pod's calls through to services: counted, authenticated, allowed, checked, and each with a line for audit. */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #calls;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#calls = options.metrics.counter({
      name: "container_service_calls_total",
      help: "Calls of containers to the agent.",
      labels: ["service", "code"],
    });
  }

  async call(incoming: Incoming, signal: AbortSignal): Promise<Outcome> {
    const started = performance.now();
    const { folder } = incoming.caller;
    let caller: ContainerCaller | undefined;
    let failure: AeonError | undefined;
    let isRunning = false;
    try {
      this.#assertRoom(folder);
      folder.running += 1;
      isRunning = true;
      caller = await this.#options.authenticator.identify(incoming.caller, incoming.authorization);
      return await this.#run(incoming, caller, signal);
    } catch (error) {
      failure = toAeonError(error, `${incoming.service}/${incoming.action}`);
      throw failure;
    } finally {
      if (isRunning) folder.running -= 1;
      this.#audit(incoming, caller, failure, performance.now() - started);
    }
  }

  async #run(incoming: Incoming, caller: ContainerCaller, signal: AbortSignal): Promise<Outcome> {
    const { services, config, log } = this.#options;
    const service = services.get(incoming.service);
    const action =
      service && Object.hasOwn(service.actions, incoming.action)
        ? service.actions[incoming.action]
        : undefined;
    if (service === undefined || action === undefined)
      throw errors.SERVICE_UNKNOWN(
        service === undefined
          ? `there is no service "${incoming.service}"; there are ${services
              .list()
              .map(({ name }) => name)
              .join(", ")}`
          : `service ${service.name} has no action "${incoming.action}"; it has ${Object.keys(service.actions).join(", ")}`,
        { details: { service: incoming.service, action: incoming.action } },
      );
    assertAllowed(service.name, incoming.caller, config);
    const message = await action.run(
      {
        caller,
        params: checked(action, incoming),
        log: log.child({
          service: service.name,
          action: incoming.action,
          folder: incoming.caller.folder.name,
        }),
        progress: (progress) => incoming.onProgress?.(progress),
      },
      signal,
    );
    if (message.$typeName !== action.result.typeName)
      throw errors.SERVICE_RESULT_WRONG(
        `${service.name}/${incoming.action} gave ${message.$typeName} instead of ${action.result.typeName}`,
      );
    return { type: action.result, message };
  }

  #assertRoom(folder: Caller["folder"]): void {
    const { config } = this.#options;
    const waitMs = folder.rate.take();
    const isFull = folder.running >= config["concurrent-calls"];
    if (waitMs === 0 && !isFull) return;
    throw errors.SERVICE_BUSY(
      isFull
        ? `this pod has ${folder.running} calls running; wait for one to end`
        : `this pod calls too often; try again in ${waitMs} ms`,
      { details: isFull ? { running: folder.running } : { retryMs: waitMs } },
    );
  }

  #audit(
    { caller: { folder, peer }, service, action, params }: Incoming,
    caller: ContainerCaller | undefined,
    failure: AeonError | undefined,
    ms: number,
  ): void {
    const { pod } = folder.owner;
    const known = this.#options.services.get(service)?.name ?? "";
    const code = failure?.code ?? "ok";
    this.#calls.inc({ service: known, code });
    this.#options.log.info(
      {
        audit: true,
        service: service.slice(0, 64),
        action: action.slice(0, 64),
        params: Object.keys(params).slice(0, 16).join(","),
        folder: folder.name,
        ...(pod && { pod: `${pod.namespace}/${pod.name}`, uid: pod.uid }),
        ...(caller?.container?.containerId !== undefined && { containerId: caller.container.containerId }),
        ...(caller && { proof: caller.proof.kind }),
        ...(caller?.proof.kind === "service-account" && { serviceAccount: caller.proof.name }),
        peerPid: peer.pid,
        peerUid: peer.uid,
        code,
        ...(failure && { reason: failure.reason }),
        ms: Math.round(ms),
      },
      "container service call",
    );
  }
}

function assertAllowed(service: string, { folder }: Caller, { services }: ContainerServiceConfig): void {
  if (service === "info") return;
  const byNode = services.includes("*") || services.includes(service);
  const byPod = allowedServices(folder.annotations)?.has(service) ?? true;
  if (byNode && byPod) return;
  throw errors.SERVICE_FORBIDDEN(
    byNode
      ? `the pod's annotation aeon.io/container-services does not name ${service}`
      : `this node does not allow containers the service ${service}`,
    { details: { service } },
  );
}

function checked(action: ServiceAction, { service, action: name, params }: Incoming): unknown {
  const result = v.safeParse(action.params, params);
  if (result.success) return result.output;
  const faults = result.issues.map((issue) => {
    const path = issue.path?.map(({ key }) => String(key)).join(".") ?? "";
    return path === "" ? issue.message : `${path}: ${issue.message}`;
  });
  throw errors.SERVICE_PARAMS_INVALID(`${service}/${name}: ${faults.slice(0, 5).join("; ")}`, {
    details: { service, action: name },
  });
}
