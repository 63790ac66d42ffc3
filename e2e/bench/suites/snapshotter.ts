import type { Benchmark } from "../benchmark.ts";
import { cycles } from "../snapshotter/cycles.ts";
import { scale } from "../snapshotter/scale.ts";

const benchmark: Benchmark = {
  title: "aeon against containerd's overlayfs snapshotter in a Go process, same client, alternating",
  async *run(context) {
    yield* cycles(context);
    yield* scale(context);
  },
};
export default benchmark;
