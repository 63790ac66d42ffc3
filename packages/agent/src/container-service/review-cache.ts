import { createHash } from "node:crypto";
import type { TokenReview, TokenReviewer } from "@aeon/core";
import { errors } from "./errors.ts";

const mostEntries = 1024;
/** Milliseconds that an answer is good for, at most; a token's own end comes first. */
const goodMs = 60_000;
const badMs = 5_000;
const reviewMs = 10_000;

interface Entry {
  readonly review: TokenReview;
  readonly until: number;
}

/** Remembers for a short while what the API server said of tokens, by their digests. */
export class ReviewCache {
  readonly #entries = new Map<string, Entry>();
  readonly #asking = new Map<string, Promise<TokenReview>>();
  readonly #now: () => number;

  /** `now` in milliseconds since the epoch. */
  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** Rejects with `TOKEN_UNCHECKED`; that is not remembered. */
  async review(reviewer: TokenReviewer, token: string, audiences: readonly string[]): Promise<TokenReview> {
    const key = createHash("sha256").update(token).digest("base64");
    const known = this.#entries.get(key);
    if (known !== undefined && this.#now() < known.until) return known.review;
    this.#entries.delete(key);
    const asking = this.#asking.get(key) ?? this.#ask(key, reviewer, token, audiences);
    this.#asking.set(key, asking);
    try {
      return await asking;
    } finally {
      this.#asking.delete(key);
    }
  }

  async #ask(
    key: string,
    reviewer: TokenReviewer,
    token: string,
    audiences: readonly string[],
  ): Promise<TokenReview> {
    // Others may wait for the same answer, so it does not end with the first caller.
    const signal = AbortSignal.timeout(reviewMs);
    const review = await reviewer.review(token, audiences, signal).catch((error: unknown) => {
      throw errors.TOKEN_UNCHECKED("the API server does not answer about the token; try again", {
        cause: error,
      });
    });
    const now = this.#now();
    const until = review.authenticated ? Math.min(now + goodMs, endOf(token) ?? Infinity) : now + badMs;
    if (this.#entries.size >= mostEntries)
      for (const oldest of this.#entries.keys()) {
        this.#entries.delete(oldest);
        break;
      }
    this.#entries.set(key, { review, until });
    return review;
  }
}

/** When the token says it ends, in milliseconds since the epoch: it can only make the memory shorter. */
function endOf(token: string): number | undefined {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString());
    const has = typeof claims === "object" && claims !== null && "exp" in claims;
    return has && typeof claims.exp === "number" ? claims.exp * 1000 : undefined;
  } catch {
    return undefined;
  }
}
