import { join } from "node:path";
import { temporaryFolder } from "@aeon/testkit";
import { aeonServer, goPeer } from "../../servers/commands.ts";
import { startServer, type ServerCommand } from "../../servers/server-process.ts";
import { row, type BenchmarkContext, type Row } from "../benchmark.ts";
import { median } from "../statistics.ts";
import { enter } from "./contestants.ts";

const few = 1_000;
const many = 10_000;
const starts = 5;

interface Scale {
  readonly listMs: number;
  readonly statMs: number;
  readonly startMs: number;
}

/** List, Stat and start-up with few and with many snapshots. */
export async function* scale(context: BenchmarkContext): AsyncIterable<Row> {
  const aeon = {
    few: await at(few, await aeonServer(), context),
    many: await at(many, await aeonServer(), context),
  };
  const peer = { few: await at(few, await goPeer(), context), many: await at(many, await goPeer(), context) };
  const facts = [
    ["List", "listMs", "linear", many / few],
    ["Stat", "statMs", "flat", 1.5],
    ["start to ready", "startMs", "linear", many / few],
  ] as const;
  for (const [what, field, shape, limit] of facts) {
    yield row({ name: `${what} with ${few}`, unit: "ms", value: aeon.few[field], peer: peer.few[field] });
    yield row({ name: `${what} with ${many}`, unit: "ms", value: aeon.many[field], peer: peer.many[field] });
    yield row({
      name: `  ${shape}: growth from ${few} to ${many}`,
      unit: "times",
      value: aeon.many[field] / aeon.few[field],
      peer: peer.many[field] / peer.few[field],
      goal: { of: "value", atMost: limit },
    });
  }
}

async function at(
  count: number,
  command: ServerCommand,
  { signal, progress }: BenchmarkContext,
): Promise<Scale> {
  signal.throwIfAborted();
  progress(`${command.name} with ${count} snapshots`);
  await using folder = await temporaryFolder("bench");
  const { listMs, statMs } = await populate(command, folder.path, count);
  const ready: number[] = [];
  for (let start = 0; start < starts; start++) {
    await using server = await startServer(command, {
      root: join(folder.path, "root"),
      socket: join(folder.path, "s.sock"),
    });
    ready.push(server.readyMs);
  }
  return { listMs, statMs, startMs: median(ready) };
}

async function populate(
  command: ServerCommand,
  folder: string,
  count: number,
): Promise<Omit<Scale, "startMs">> {
  await using contestant = await enter(command, folder);
  const { load } = contestant;
  await load.ask({ do: "chain", count: 10 });
  await load.ask({ do: "populate", count, workers: 16 });
  await load.ask({ do: "stat", count: 500 });
  const list = await load.ask({ do: "list", count: 15 });
  const stat = await load.ask({ do: "stat", count: 1000 });
  return { listMs: list.p50Microseconds / 1000, statMs: stat.p50Microseconds / 1000 };
}
