import type { Benchmark } from "../benchmark.ts";
import { agentAtRest } from "../snapshotter/agent-at-rest.ts";
import { ctrRun } from "../snapshotter/ctr-run.ts";
import { cycles } from "../snapshotter/cycles.ts";
import { scale } from "../snapshotter/scale.ts";

const benchmark: Benchmark = {
  title: "aeon against containerd's overlayfs snapshotter in a Go process, same client, alternating",
  async *run(context) {
    yield* cycles(context);
    yield* ctrRun(context);
    yield* scale(context);
    yield* agentAtRest(context);
  },
};
export default benchmark;
