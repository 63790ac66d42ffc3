import type { Benchmark } from "../benchmark.ts";
import { launcher } from "../hooks/launcher.ts";
import { nri } from "../hooks/nri.ts";

const benchmark: Benchmark = {
  title: "hooks by the launcher and over NRI against runc and containerd alone, alternating",
  async *run(context) {
    yield* launcher(context);
    yield* nri(context);
  },
};
export default benchmark;
