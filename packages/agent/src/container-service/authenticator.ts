import type {
  CallerPod,
  CallerProof,
  ContainerCaller,
  ContainerEntry,
  ContainerRegistry,
  TokenReviewer,
} from "@aeon/core";
import type { ContainerServiceConfig } from "./config.ts";
import { errors } from "./errors.ts";
import { containerIdsOf } from "./peer-container.ts";
import type { Caller } from "./pod-folder.ts";
import { ReviewCache } from "./review-cache.ts";

export interface AuthenticatorOptions {
  readonly config: ContainerServiceConfig;
  /** True where pods have tokens, even while nobody can check them: that must not open the door. */
  readonly hasKubernetes: boolean;
  readonly reviewer: () => TokenReviewer | undefined;
  readonly registry: () => ContainerRegistry | undefined;
  readonly cache?: ReviewCache;
}

const largestToken = 16_384;
const podName = "authentication.kubernetes.io/pod-name";
const podUid = "authentication.kubernetes.io/pod-uid";

/** Decides who calls: the pod of the socket, and a token of that pod where tokens are asked for. */
export class Authenticator {
  readonly #options: AuthenticatorOptions;
  readonly #cache: ReviewCache;

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
    this.#cache = options.cache ?? new ReviewCache();
  }

  /** `authorization` is the request's header. Rejects with one of the `TOKEN_…` errors. */
  async identify({ folder, peer }: Caller, authorization: string | null): Promise<ContainerCaller> {
    const { pod } = folder.owner;
    const proof: CallerProof =
      pod !== undefined && this.#asksForTokens()
        ? { kind: "service-account", name: await this.#serviceAccount(pod, tokenOf(authorization)) }
        : { kind: "socket" };
    const containers = this.#containersOf(folder.owner);
    const ids = new Set(containerIdsOf(peer.pid));
    const container = containers.find(({ containerId }) => containerId !== undefined && ids.has(containerId));
    return { ...(pod && { pod }), containers, ...(container && { container }), proof, peer };
  }

  #asksForTokens(): boolean {
    const { config, hasKubernetes } = this.#options;
    return config.authentication === "token" || (config.authentication === "auto" && hasKubernetes);
  }

  async #serviceAccount(pod: CallerPod, token: string): Promise<string> {
    const { reviewer: find, config } = this.#options;
    const reviewer = find();
    if (reviewer === undefined)
      throw errors.TOKEN_UNCHECKED("the agent has no API server to ask about the token; try again");
    const { audiences } = config;
    const review = await this.#cache.review(reviewer, token, audiences);
    const wanted = audiences.join(" or ");
    if (!review.authenticated)
      throw errors.TOKEN_REFUSED(
        `the API server does not accept the token: it is expired, forged, or not for audience ${wanted}`,
      );
    if (!review.audiences.some((audience) => audiences.includes(audience)))
      throw errors.TOKEN_REFUSED(`the token is not for audience ${wanted}`);
    const [, , space, name] = review.username.split(":");
    const isOwn =
      review.username === `system:serviceaccount:${pod.namespace}:${name}` &&
      space === pod.namespace &&
      review.extra[podName]?.[0] === pod.name &&
      review.extra[podUid]?.[0] === pod.uid;
    if (!isOwn || name === undefined)
      throw errors.TOKEN_OF_ANOTHER_POD(
        `the token is not bound to pod ${pod.namespace}/${pod.name} (uid ${pod.uid}), whose socket this is`,
        { details: { pod: pod.name, namespace: pod.namespace } },
      );
    return name;
  }

  #containersOf({ pod, namespace, containerId }: Caller["folder"]["owner"]): readonly ContainerEntry[] {
    const registry = this.#options.registry();
    if (registry === undefined) return [];
    if (pod !== undefined)
      return registry.ofPod(pod.uid).filter((entry) => !entry.sandbox && entry.containerId !== undefined);
    const own = registry.byContainer(namespace, containerId);
    return own === undefined ? [] : [own];
  }
}

function tokenOf(authorization: string | null): string {
  const token = /^Bearer +([A-Za-z0-9._~+/=-]+)$/i.exec(authorization ?? "")?.[1];
  if (token === undefined || token.length > largestToken)
    throw errors.TOKEN_MISSING(
      "a pod's calls need its ServiceAccount token: authorization: Bearer TOKEN (a projected one, read for each call)",
    );
  return token;
}
