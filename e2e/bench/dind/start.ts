import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Task } from "@aeon/containerd";
import { writeDaemonFiles, daemonFlags } from "../../../packages/dind/src/controller/daemon-files.ts";
import { deviceRulesOf, dindSpec } from "../../../packages/dind/src/controller/dind-spec.ts";
import { readMainProcess } from "../../../packages/dind/src/controller/main-process.ts";
import { ping } from "../../../packages/dind/src/controller/ping.ts";
import { placesOf, type Places } from "../../../packages/dind/src/controller/places.ts";
import { dindImage } from "../../../packages/dind/test/docker-images.ts";
import { setUp, type Setup } from "../../../packages/dind/test/dind-setup.ts";
import { defaultSettings, namespace } from "../../../packages/dind/test/open-controller.ts";
import { endMain } from "../../../packages/dind/test/support/main-tools.ts";
import { row, type BenchmarkContext, type Row } from "../benchmark.ts";
import { median } from "../statistics.ts";
import { bundledFilter } from "./bundled-filter.ts";

/** From nothing to a Docker that answers: with controller, disk limit, clone of the mounts and filter, and dockerd alone. */
export async function* startOfDocker({ signal, progress, quick }: BenchmarkContext): AsyncIterable<Row> {
  progress("making the bundle");
  const filter = await bundledFilter(signal);
  await using setup = await setUp();
  await using controller = await setup.controller({ filterCommand: [process.execPath, ...filter] });
  const own: number[] = [];
  const alone: number[] = [];
  const daemon: number[] = [];
  const stops: number[] = [];
  // The first round unpacks the image.
  for (let round = 0; round <= (quick ? 1 : 9); round += 1) {
    progress(`start ${round}`);
    const id = `bench-${round}`;
    const main = { namespace, id };
    const task = await setup.main(id);
    const from = performance.now();
    await controller.start(main, signal);
    await untilAnswers(`/proc/${task.pid}/root/run/docker.sock`);
    const started = performance.now() - from;
    const stopping = performance.now();
    await controller.stop(main);
    const stopped = performance.now() - stopping;
    await endMain(setup, task, id);
    await controller.settled();
    const plain = await startAlone(setup, `alone-${round}`);
    if (round === 0) continue;
    own.push(started);
    stops.push(stopped);
    alone.push(plain.all);
    daemon.push(plain.daemon);
  }
  yield row({
    name: "start to the first answer, beside dockerd alone in such a container",
    unit: "ms",
    value: median(own),
    peer: median(alone),
    goal: { of: "ratio", atMost: 1.3 },
  });
  yield row({
    name: "start to the first answer, beside the process dockerd",
    unit: "ms",
    value: median(own),
    peer: median(daemon),
  });
  yield row({ name: "stop", unit: "ms", value: median(stops) });
}

/** dockerd from the same image in a container of the same kind, with its data in a folder and nothing around it. */
async function startAlone(
  setup: Setup,
  id: string,
): Promise<{ readonly all: number; readonly daemon: number }> {
  const main = await setup.main(id);
  const folders = { root: join(setup.folder, id, "root"), state: join(setup.folder, id) };
  const places: Places = placesOf(folders, { namespace, id });
  await mkdir(places.data, { recursive: true });
  const process = await readMainProcess(main.pid);
  if (process === undefined) throw new Error("it ended");
  const from = performance.now();
  await writeDaemonFiles(
    places,
    defaultSettings,
    process,
    { uid: 0, gid: 0 },
    { drivers: [], spec: undefined },
  );
  const spec = dindSpec({
    places,
    main: process,
    mainSpec: undefined,
    args: daemonFlags(defaultSettings),
    env: [],
    deviceRules: deviceRulesOf(undefined),
    isolation: { kind: "reduced-privileges", reason: "" },
  });
  const container = await setup.client.createContainer(places.container, { image: dindImage, spec });
  const task: Task = await container.newTask();
  const begun = performance.now();
  await task.start();
  await untilAnswers(places.starting);
  const end = performance.now();
  const ended = task.wait();
  await task.kill("SIGKILL");
  await ended;
  await task.delete();
  await container.delete({ snapshot: true });
  await endMain(setup, main, id);
  await rm(join(setup.folder, id), { recursive: true, force: true });
  return { all: end - from, daemon: end - begun };
}

async function untilAnswers(socket: string): Promise<void> {
  while ((await ping(socket)) !== undefined) await sleep(5);
}
