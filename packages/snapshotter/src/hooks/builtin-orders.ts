/**
 * Orders of the hooks that come with aeon. Audit and metrics are outermost, so they see what the caller asked
 * and what it finally got.
 */
export const builtinOrders = { audit: -1000, metrics: -990, ownSnapshots: -950 } as const;
