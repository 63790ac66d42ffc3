import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { openContainerRegistry } from "../../src/index.ts";
import { key } from "../support/call.ts";
import { MemorySnapshotter } from "../support/memory-snapshotter.ts";

const rounds = 8;
const child = join(import.meta.dirname, "crash-child.ts");

/** Lehmer's generator, so that a failing run can be repeated from its seed. */
function* randoms(seed: number): Generator<number, never, undefined> {
  for (let state = seed; ;) {
    state = (state * 48_271) % 2_147_483_647;
    yield state / 2_147_483_647;
  }
}

test("killed at any moment, the registry opens again with every move that was confirmed", async () => {
  const seed = Number(process.env["AEON_SEED"] ?? (Date.now() % 2_147_483_646) + 1);
  console.log(`registry crash test: AEON_SEED=${seed}`);
  const random = randoms(seed);
  const folder = await mkdtemp(join(tmpdir(), "aeon-rc-"));
  let confirmed = 0;
  try {
    for (let round = 1; round <= rounds; round += 1) {
      const args = ["--conditions=@aeon/source", child, folder, String(round)];
      const agent = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
      const output = text(agent.stdout);
      await once(agent.stdout, "data");
      await sleep(random.next().value * 120);
      agent.kill("SIGKILL");
      await once(agent, "exit");

      const states = new Map<string, string>();
      for (const line of (await output).split("\n").slice(0, -1)) {
        const [name = "", state = ""] = line.split(" ");
        states.set(name, state);
      }
      confirmed += states.size;
      await using registry = openContainerRegistry({
        path: join(folder, "containers.db"),
        backend: new MemorySnapshotter(),
      });
      const order = ["preparing", "ready", "backing-up", "backed-up"];
      for (const [name, state] of states) {
        const found = registry.bySnapshot(key(name))?.state ?? "none";
        expect(order.indexOf(found), `${name} ${state}`).toBeGreaterThanOrEqual(order.indexOf(state));
      }
    }
    expect(confirmed).toBeGreaterThan(rounds);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
