import { readdirSync } from "node:fs";
import { join } from "node:path";
import { defineConfig } from "vitest/config";

const packages = join(import.meta.dirname, "packages");

/** Unit tests: beside the source, no servers, no root. */
export default defineConfig({
  ssr: { resolve: { conditions: ["@aeon/source"] } },
  test: {
    pool: "threads",
    // Only ends what hangs: property tests take long on a machine that does other things.
    testTimeout: 60_000,
    restoreMocks: true,
    projects: [
      ...readdirSync(packages).map((name) => ({
        extends: true as const,
        test: { name, root: join(packages, name), include: ["src/**/*.test.ts"] },
      })),
      {
        extends: true as const,
        test: {
          name: "e2e",
          root: join(import.meta.dirname, "e2e"),
          include: ["bench/**/*.test.ts", "runc-suite/*.test.ts"],
        },
      },
    ],
    coverage: { provider: "v8", include: ["packages/*/src/**"], exclude: ["**/gen/**"] },
  },
});
