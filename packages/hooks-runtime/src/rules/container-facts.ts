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
