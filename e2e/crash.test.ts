import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { temporaryFolder } from "@aeon/testkit";
import { CrashRun } from "./crash/crash-run.ts";
import { Random, seedOfRun } from "./crash/random.ts";
import { SnapshotClient } from "./crash/snapshot-client.ts";
import { aeonServer } from "./servers/commands.ts";
import { startServer } from "./servers/server-process.ts";

const rounds = Number(process.env["AEON_CRASH_ROUNDS"] ?? 200);
const workers = 6;
/** Long enough for the log of the database to be folded in now and then. */
const longestRoundMs = 160;

test(`keeps every promise when killed ${rounds} times`, { timeout: 600_000 }, async () => {
  const seed = seedOfRun();
  console.log(`crash test with AEON_SEED=${seed}`);
  const random = new Random(seed);
  const command = await aeonServer();
  await using folder = await temporaryFolder("crash");
  const place = { root: join(folder.path, "root"), socket: join(folder.path, "s.sock") };
  const run = new CrashRun(place.root, random);
  let killedAtStart = 0;

  for (let round = 0; round < rounds; round++) {
    if (random.chance(0.15)) {
      killedAtStart++;
      await startServer(command, { ...place, signal: AbortSignal.timeout(random.below(200)) }).then(
        (server) => server.kill(),
        () => {},
      );
    }
    const server = await startServer(command, place);
    using client = new SnapshotClient(server.socket);
    await run.verify(client);
    const dead = new AbortController();
    const working = run.work(client, workers, Infinity, dead.signal);
    await delay(random.below(longestRoundMs));
    dead.abort(new Error("killed"));
    await server.kill();
    await working;
    expect(run.problems, `round ${round}, AEON_SEED=${seed}`).toEqual([]);
  }

  {
    await using server = await startServer(command, place);
    using client = new SnapshotClient(server.socket);
    await run.verify(client);
    await run.work(client, workers, 100, new AbortController().signal);
  }
  await using server = await startServer(command, place);
  using client = new SnapshotClient(server.socket);
  await run.verify(client);
  expect(run.problems, `AEON_SEED=${seed}`).toEqual([]);
  console.log(
    `${rounds} kills (${killedAtStart} more while starting), ${run.acknowledged} acknowledged and ` +
      `${run.interrupted} interrupted operations, ${run.size} snapshots left`,
  );
  expect(run.acknowledged).toBeGreaterThan(rounds * 5);
  expect(run.interrupted).toBeGreaterThan(rounds);
});
