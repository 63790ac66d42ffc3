import { copyFile, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "@aeon/standalone";
import { debianFile, temporaryFolder } from "@aeon/testkit";
import { bundleToolkit, installToolkit } from "../../servers/hooks-toolkit.ts";
import { besideGo } from "./go-toolkit.ts";
import { cpuOfLife, life, timed } from "./lives.ts";
import { row, type BenchmarkContext, type Row } from "../benchmark.ts";
import { median } from "../statistics.ts";

/** Rules are compiled with the first container, and again when that has made the log beside them. */
const warmUp = 3;
const calls = 'i=0; while [ $i -lt 20 ]; do "$1" state b; i=$((i+1)); done';

/** What stands between containerd and runc: container-hooks-runtime against runc itself. */
export async function* launcher({ signal, progress, quick }: BenchmarkContext): AsyncIterable<Row> {
  const rounds = quick ? 3 : 100;
  await using folder = await temporaryFolder("bench");
  // Bundles lie in /run, which is in memory.
  await run("mount", ["-t", "tmpfs", "tmpfs", folder.path]);
  await using mounted = new AsyncDisposableStack();
  mounted.defer(async () => void (await run("umount", [folder.path])));
  const runc = await debianFile("runc", "usr/sbin/runc");
  const bundle = await makeBundle(folder.path, runc);
  const hooks = { createRuntime: [{ path: "/bin/true" }] };
  await bundleToolkit(signal);
  const plain = [runc, join(folder.path, "state"), bundle.plain];
  const setups = {
    none: await installToolkit(join(folder.path, "none"), runc, {}),
    static: await installToolkit(join(folder.path, "static"), runc, hooks),
    conditional: await installToolkit(join(folder.path, "conditional"), runc, {
      version: 1,
      rules: [{ name: "a", when: { commands: "true$" }, hooks }],
    }),
  };
  const kinds = ["none", "static", "conditional"] as const;
  const times = { none: [] as number[], static: [] as number[], conditional: [] as number[] };
  const peers = { none: [] as number[], static: [] as number[], conditional: [] as number[] };
  for (let round = -warmUp; round < rounds; round++) {
    signal.throwIfAborted();
    if (round % 20 === 0) progress(`lives, round ${round + 1} of ${rounds}`);
    for (const kind of kinds) {
      const peer = await timed(life, [...plain.slice(0, 2), kind === "none" ? bundle.plain : bundle.hooked]);
      await writeFile(join(bundle.plain, "config.json"), bundle.spec);
      const own = await timed(life, [setups[kind], join(folder.path, "state"), bundle.plain]);
      await writeFile(join(bundle.plain, "config.json"), bundle.spec);
      if (round < 0) continue;
      times[kind].push(own);
      peers[kind].push(peer);
    }
  }
  yield row({
    name: "life of four calls without rules, added",
    unit: "ms",
    value: added(times.none, peers.none),
  });
  yield row({
    name: "life of four calls with an unconditional hook, added to the same hook in the spec",
    unit: "ms",
    value: added(times.static, peers.static),
    goal: { of: "value", atMost: 6.6 },
  });
  yield row({
    name: "life of four calls with a conditional hook, added to the same hook in the spec",
    unit: "ms",
    value: added(times.conditional, peers.conditional),
  });
  yield* processorTime({
    runc,
    launcher: setups.static,
    bundle,
    rounds: Math.ceil(rounds / 10),
    signal,
    progress,
  });
  yield* besideGo({ folder: folder.path, bundle, runc, launcher: setups.static, rounds, progress, signal });
  yield* passThrough(join(folder.path, "true"), rounds);
}

interface ProcessorTimeOptions extends Pick<BenchmarkContext, "signal" | "progress"> {
  readonly runc: string;
  readonly launcher: string;
  readonly bundle: Awaited<ReturnType<typeof makeBundle>>;
  readonly rounds: number;
}

async function* processorTime(options: ProcessorTimeOptions): AsyncIterable<Row> {
  const { runc, launcher: program, bundle, rounds, signal, progress } = options;
  const state = join(bundle.hooked, "state");
  const spec = join(bundle.hooked, "own.json");
  await writeFile(spec, bundle.spec);
  const own: number[] = [];
  const peer: number[] = [];
  for (let round = 0; round < rounds; round++) {
    signal.throwIfAborted();
    progress(`CPU time of lives, round ${round + 1} of ${rounds}`);
    peer.push(await cpuOfLife([runc, state, bundle.plain, join(bundle.hooked, "config.json")]));
    own.push(await cpuOfLife([program, state, bundle.plain, spec]));
  }
  await writeFile(join(bundle.plain, "config.json"), bundle.spec);
  yield row({
    name: "CPU of a life with an unconditional hook, added to the same hook in the spec",
    unit: "ms",
    value: added(own, peer),
    goal: { of: "value", atMost: 7 },
  });
}

/** A program that does nothing in the place of runc leaves the launcher's own time. */
async function* passThrough(folder: string, rounds: number): AsyncIterable<Row> {
  const program = "/bin/true";
  const installed = await installToolkit(folder, program, {});
  const own: number[] = [];
  const peer: number[] = [];
  for (let round = 0; round < rounds; round++) {
    peer.push((await timed(calls, [program])) / 20);
    own.push((await timed(calls, [installed])) / 20);
  }
  yield row({
    name: "any other call, added",
    unit: "ms",
    value: added(own, peer),
    goal: { of: "value", atMost: 1 },
  });
}

/** Neighbours in time are compared, so that what else the machine does cancels out. */
const added = (own: readonly number[], peer: readonly number[]): number =>
  median(own.map((value, index) => value - (peer[index] ?? 0)));

async function makeBundle(folder: string, runc: string) {
  const plain = join(folder, "plain");
  const hooked = join(folder, "hooked");
  for (const name of ["bin", "proc", "dev", "sys"])
    await mkdir(join(plain, "rootfs", name), { recursive: true });
  await copyFile(await debianFile("busybox-static", "bin/busybox"), join(plain, "rootfs/bin/busybox"));
  await symlink("busybox", join(plain, "rootfs/bin/true"));
  await run(runc, ["spec", "--bundle", plain]);
  await mkdir(hooked);
  await symlink("../plain/rootfs", join(hooked, "rootfs"));
  const spec = JSON.parse(await readFile(join(plain, "config.json"), "utf8")) as Record<string, object>;
  Object.assign(spec["process"] ?? {}, { args: ["true"], terminal: false });
  const text = JSON.stringify(spec);
  await writeFile(join(plain, "config.json"), text);
  const rootfs = { ...spec["root"], path: join(plain, "rootfs") };
  const hooks = { createRuntime: [{ path: "/bin/true" }] };
  await writeFile(join(hooked, "config.json"), JSON.stringify({ ...spec, root: rootfs, hooks }));
  return { plain, hooked, spec: text };
}
