import type { Isolation } from "../controller/user-namespace.ts";

/** As messages say it. */
export const isolationFields = (
  isolation: Isolation | undefined,
): { readonly isolation: string; readonly isolationReason: string } => ({
  isolation: isolation?.kind ?? "",
  isolationReason: isolation?.kind === "reduced-privileges" ? isolation.reason : "",
});
