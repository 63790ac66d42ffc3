import { join } from "node:path";
import { defineConfig } from "vitest/config";

/** Scenarios on real Kubernetes nodes: root, network namespaces, minutes; one file at a time. */
export default defineConfig({
  ssr: { resolve: { conditions: ["@aeon/source"] } },
  test: {
    name: "kubernetes",
    root: join(import.meta.dirname, "e2e"),
    include: ["kubernetes/**/*.test.ts"],
    pool: "forks",
    fileParallelism: false,
    testTimeout: 300_000,
    hookTimeout: 300_000,
    teardownTimeout: 60_000,
  },
});
