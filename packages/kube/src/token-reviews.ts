import type { TokenReview, TokenReviewer } from "@aeon/core";
import * as v from "valibot";
import type { Transport } from "./http/transport.ts";

const replySchema = v.object({
  status: v.optional(
    v.object({
      authenticated: v.optional(v.boolean()),
      error: v.optional(v.string()),
      audiences: v.optional(v.array(v.string()), []),
      user: v.optional(
        v.object({
          username: v.optional(v.string()),
          extra: v.optional(v.record(v.string(), v.array(v.string())), {}),
        }),
      ),
    }),
  ),
});

/** Reviews tokens at the API server. */
export function tokenReviews(transport: Transport): TokenReviewer {
  return {
    async review(token, audiences, signal): Promise<TokenReview> {
      const body = {
        apiVersion: "authentication.k8s.io/v1",
        kind: "TokenReview",
        spec: { token, audiences: [...audiences] },
      };
      const path = "/apis/authentication.k8s.io/v1/tokenreviews";
      const reply = v.parse(replySchema, await transport.json({ method: "POST", path, body }, signal));
      const { authenticated, error, user, audiences: granted = [] } = reply.status ?? {};
      if (authenticated !== true || user?.username === undefined)
        return { authenticated: false, reason: error ?? "the API server does not know the token" };
      return { authenticated: true, username: user.username, audiences: granted, extra: user.extra };
    },
  };
}
