import { join } from "node:path";
import { containerdPaths } from "@aeon/standalone";
import { busyboxImage, launchContainerd, temporaryFolder, type PrivateContainerd } from "@aeon/testkit";
import { agentPaths, startAgent } from "../../servers/agent.ts";
import { row, type BenchmarkContext, type Row } from "../benchmark.ts";
import { median } from "../statistics.ts";

const rounds = 25;

/** `ctr run --rm` of a container that does nothing: the agent's snapshotter against containerd's own. */
export async function* ctrRun({ signal, progress }: BenchmarkContext): AsyncIterable<Row> {
  await using folder = await temporaryFolder("bench");
  const containerdFolder = join(folder.path, "c");
  await using agent = await startAgent({
    folder: folder.path,
    containerd: containerdPaths(containerdFolder).socket,
  });
  await using containerd = await launchContainerd({
    folder: containerdFolder,
    proxySnapshotters: [{ name: "aeon", address: agent.socket, root: agentPaths(folder.path).snapshots }],
  });
  const image = await busyboxImage({ file: join(folder.path, "image.tar") });
  const snapshotters = ["aeon", "overlayfs"] as const;
  for (const name of snapshotters)
    await containerd.ctr(["images", "import", "--snapshotter", name, image.file]);
  const times = { aeon: [] as number[], overlayfs: [] as number[] };
  for (let round = -1; round < rounds; round++) {
    signal.throwIfAborted();
    if (round % 5 === 0) progress(`ctr run, round ${round + 1} of ${rounds}`);
    for (const name of round % 2 === 0 ? snapshotters : snapshotters.toReversed()) {
      const took = await runOnce(containerd, name, image.name, `${name}-${round + 1}`);
      if (round >= 0) times[name].push(took);
    }
  }
  yield row({
    name: "ctr run --rm, trivial container",
    unit: "ms",
    value: median(times.aeon),
    peer: median(times.overlayfs),
    goal: { of: "ratio", atMost: 1.03 },
  });
}

async function runOnce(
  containerd: PrivateContainerd,
  snapshotter: string,
  image: string,
  id: string,
): Promise<number> {
  const from = performance.now();
  await containerd.ctr(["run", "--rm", "--snapshotter", snapshotter, image, id, "true"]);
  return performance.now() - from;
}
