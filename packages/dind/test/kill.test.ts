import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { seeded } from "@aeon/testkit";
import { namespace } from "./open-controller.ts";
import { setUp } from "./dind-setup.ts";
import { traces } from "./traces.ts";

/** Longest time that a start is given before the controller is killed, in milliseconds. */
const longestMs = 4000;

test(
  "a controller that is killed at any moment leaves what the next one goes on with or removes",
  { timeout: 400_000 },
  async () => {
    const seed = Number(process.env["AEON_SEED"] ?? Date.now() % 100_000);
    console.log(`seed ${seed}`);
    const random = seeded(seed);
    await using setup = await setUp();
    // The image is unpacked once, so that kills hit the steps of a start.
    await using warm = await setup.controller();
    const first = await setup.main("warm");
    await warm.start({ namespace, id: "warm" }, AbortSignal.timeout(90_000));
    await first.kill("SIGKILL");
    await expect.poll(() => warm.list(), { timeout: 30_000, interval: 100 }).toEqual([]);
    await warm[Symbol.asyncDispose]();
    for (let round = 0; round < 8; round++) {
      const id = `kill-${round}`;
      const main = await setup.main(id);
      const child = spawn(
        process.execPath,
        [
          "--conditions=@aeon/source",
          join(import.meta.dirname, "controller-process.ts"),
          setup.containerd.address,
          setup.folder,
          setup.archive,
          id,
        ],
        { stdio: ["ignore", "pipe", "inherit"] },
      );
      const ended = once(child, "exit");
      await once(child.stdout, "data");
      const after = Math.floor(random() * longestMs);
      // The moment of the kill is what is being varied.
      await sleep(after);
      child.kill("SIGKILL");
      await ended;
      const isDead = random() < 0.5;
      if (isDead) await main.kill("SIGKILL");
      await using controller = await setup.controller();
      const moment = `round ${round}, killed after ${after} ms`;
      const use = async (): Promise<string> => {
        const { state } = await controller.start({ namespace, id }, AbortSignal.timeout(90_000));
        const listed = await setup.exec(main, ["docker", "ps", "-q"]);
        await main.kill("SIGKILL");
        return `${state}${listed}`;
      };
      expect({ moment, state: isDead ? "gone" : await use() }).toEqual({
        moment,
        state: isDead ? "gone" : "running",
      });
      await expect.poll(() => controller.list(), { timeout: 60_000, interval: 100 }).toEqual([]);
      expect({ moment, left: await traces(setup.folder) }).toEqual({ moment, left: [] });
      expect(
        (await setup.client.containers())
          .map((info) => info.id)
          .filter((name) => name.startsWith("aeon-dind")),
      ).toEqual([]);
      expect(await readdir(join(setup.folder, "s"))).toEqual([]);
    }
  },
);
