import type { GenericSchema, InferOutput } from "valibot";
import type { ContainerEntry, PodIdentity } from "./container-registry.ts";
import type { Logger } from "./logger.ts";

/** The pod that a caller's socket belongs to; its name and its uid never change. */
export type CallerPod = Omit<PodIdentity, "container">;

/** How the agent knows who calls: a checked ServiceAccount token of the pod, or the socket that only it can reach. */
export type CallerProof =
  | { readonly kind: "service-account"; readonly name: string }
  | { readonly kind: "socket" };

/** Who calls. All of it comes from the agent and the kernel, nothing from the request. */
export interface ContainerCaller {
  /** Absent for a container without a pod. */
  readonly pod?: CallerPod;
  /** The containers that the caller may act for: those of its pod without the sandbox, or the one it is. */
  readonly containers: readonly ContainerEntry[];
  /** The container that the calling process is in, where the kernel tells; always one of `containers`. */
  readonly container?: ContainerEntry;
  readonly proof: CallerProof;
  /** The process that opened the connection, in the agent's pid namespace; 0 where it cannot be seen. */
  readonly peer: { readonly pid: number; readonly uid: number; readonly gid: number };
}

/** How far a call is; `total` is 0 while it is not known. */
export interface ServiceProgress {
  /** A word such as `reading` or `starting`. */
  readonly phase: string;
  /** One line for people, where the phase does not say enough. */
  readonly message?: string;
  readonly done?: number;
  readonly total?: number;
}

/** One call, already authenticated and its parameters checked. */
export interface ServiceCall<Params> {
  readonly caller: ContainerCaller;
  readonly params: Params;
  /** Names the call in it. */
  readonly log: Logger;
  /** Tells the caller how far the work is; does nothing when it did not ask for a stream. */
  readonly progress: (progress: ServiceProgress) => void;
}

/** A protobuf message type, such as a generated `BackupListSchema`. */
export interface ServiceMessageType {
  readonly kind: "message";
  readonly typeName: string;
}

/** A protobuf message, as `create(BackupListSchema, { … })` makes it. */
export interface ServiceMessage {
  readonly $typeName: string;
}

/** What a service can do under one name. Make it with {@link defineAction}. */
export interface ServiceAction {
  /** One sentence, shown by the service `info`. */
  readonly description: string;
  /**
   * Checks the parameters. Clients may send numbers and booleans as text (`{"wait": "true"}`); the schema gets what
   * was sent.
   */
  readonly params: GenericSchema;
  /** Type of the result; it travels as `google.protobuf.Any`. */
  readonly result: ServiceMessageType;
  /** True when the call changes something; such calls need their own right where a pod's rights are limited. */
  readonly changes: boolean;
  /** Aborted signals mean that the caller went away or its time is over. Throws AeonErrors. */
  run(call: ServiceCall<unknown>, signal: AbortSignal): Promise<ServiceMessage>;
}

/** An action with the types of its parameters. */
export interface ServiceActionOf<Params extends GenericSchema> {
  readonly description: string;
  readonly params: Params;
  readonly result: ServiceMessageType;
  /** Default false. */
  readonly changes?: boolean;
  run(call: ServiceCall<InferOutput<Params>>, signal: AbortSignal): Promise<ServiceMessage>;
}

/** Types an action by the schema of its parameters. */
export function defineAction<Params extends GenericSchema>(action: ServiceActionOf<Params>): ServiceAction {
  const { description, params, result, changes = false } = action;
  const run = (call: ServiceCall<unknown>, signal: AbortSignal): Promise<ServiceMessage> => {
    assertChecked<InferOutput<Params>>(call);
    return action.run(call, signal);
  };
  return { description, params, result, changes, run };
}

/** The agent calls `run` only with what `params` gave. */
function assertChecked<Params>(_call: ServiceCall<unknown>): asserts _call is ServiceCall<Params> {}

/** Something that containers may ask of the agent, each for itself only. */
export interface ContainerService {
  /** Lower-case letters, digits and dashes; unique in the agent. */
  readonly name: string;
  readonly description: string;
  readonly actions: Readonly<Record<string, ServiceAction>>;
}

/** Takes the services of a plugin; they end with the plugin. */
export interface ContainerServiceRegistry {
  /** Throws `already-exists` for a name that is taken. */
  register(service: ContainerService): Disposable;
}
