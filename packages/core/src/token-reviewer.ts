import { capability, type Capability } from "./capability.ts";

/** What the API server says of a token (`authentication.k8s.io/v1` TokenReview). */
export type TokenReview =
  | {
      readonly authenticated: true;
      /** Such as `system:serviceaccount:shop:default`. */
      readonly username: string;
      /** Those of the asked audiences that the token is for. */
      readonly audiences: readonly string[];
      /** Such as `authentication.kubernetes.io/pod-uid`. */
      readonly extra: Readonly<Record<string, readonly string[]>>;
    }
  | { readonly authenticated: false; readonly reason: string };

/** Asks the API server whose a token is. */
export interface TokenReviewer {
  /** Rejects only when the API server gives no answer. */
  review(token: string, audiences: readonly string[], signal: AbortSignal): Promise<TokenReview>;
}

/** Provided where the agent has a Kubernetes API server. */
export const tokenReviewer: Capability<TokenReviewer> = capability("token-reviewer");
