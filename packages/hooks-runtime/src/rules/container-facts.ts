/** What rules can ask about a container; absent where the engine does not tell. */
export interface ContainerFacts {
  /** Kubernetes namespace of its pod. */
  readonly namespace?: string;
  readonly pod?: string;
  /** Name of the container within its pod. */
  readonly container?: string;
  /** Name of its image. */
  readonly image?: string;
  /** First word of its command line. */
  readonly command?: string;
  readonly runtimeHandler?: string;
  /** `sandbox` for a pod's pause container. */
  readonly role?: "container" | "sandbox";
  readonly annotations?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  /** Whether it has bind mounts beyond those that engines add to every container. */
  readonly hasBindMounts?: boolean;
}

/** Facts of which some may be unknown: what a command line or a message may leave out. */
export type GivenFacts = { readonly [Key in keyof ContainerFacts]?: ContainerFacts[Key] | undefined };

/** The facts that are known. */
export function knownFacts(given: GivenFacts): ContainerFacts {
  const { namespace, pod, container, image, command, runtimeHandler, role, annotations, labels } = given;
  const { hasBindMounts } = given;
  return {
    ...(namespace !== undefined && { namespace }),
    ...(pod !== undefined && { pod }),
    ...(container !== undefined && { container }),
    ...(image !== undefined && { image }),
    ...(command !== undefined && { command }),
    ...(runtimeHandler !== undefined && { runtimeHandler }),
    ...(role !== undefined && { role }),
    ...(annotations && { annotations }),
    ...(labels && { labels }),
    ...(hasBindMounts !== undefined && { hasBindMounts }),
  };
}
