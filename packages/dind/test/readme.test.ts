import { join } from "node:path";
import { runReadmeExample } from "@aeon/testkit";
import { expect, test } from "vitest";
import { setUp } from "./dind-setup.ts";
import { namespace } from "./open-controller.ts";
import { endMain } from "./support/main-tools.ts";

test("the example of the README gives a container Docker", async () => {
  await using setup = await setUp();
  const task = await setup.main("web");
  const output = await runReadmeExample(join(import.meta.dirname, "../README.md"), {
    CONTAINERD_ADDRESS: setup.containerd.address,
    CONTAINERD_NAMESPACE: namespace,
    AEON_ROOT: join(setup.folder, "root"),
    AEON_STATE: join(setup.folder, "s"),
    AEON_DIND_ARCHIVE: setup.archive,
  });
  expect(output).toBe("running\nstopped\n");
  await endMain(setup, task, "web");
  // The controller of the example has ended; another one finds that the main container is gone.
  await using controller = await setup.controller();
  await expect.poll(() => controller.list(), { timeout: 30_000, interval: 50 }).toEqual([]);
});
