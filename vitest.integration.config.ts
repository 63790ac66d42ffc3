import { readdirSync } from "node:fs";
import { join } from "node:path";
import { defineConfig } from "vitest/config";

const packages = join(import.meta.dirname, "packages");

/** Integration tests and scenarios: real sockets, real containerd, root; one file at a time. */
export default defineConfig({
  ssr: { resolve: { conditions: ["@aeon/source"] } },
  test: {
    pool: "forks",
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 300_000,
    teardownTimeout: 60_000,
    // Programs that are waited for start slowly on a busy machine.
    expect: { poll: { timeout: 20_000 } },
    projects: [
      ...readdirSync(packages).map((name) => ({
        extends: true as const,
        test: { name, root: join(packages, name), include: ["test/**/*.test.ts"] },
      })),
      {
        extends: true as const,
        test: {
          name: "e2e",
          root: join(import.meta.dirname, "e2e"),
          include: ["**/*.test.ts"],
          exclude: ["bench/**", "kubernetes/**", "runc-suite/**", "**/node_modules/**"],
        },
      },
    ],
  },
});
