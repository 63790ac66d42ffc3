import type { Benchmark } from "../benchmark.ts";
import { filterCalls } from "../dind/filter-calls.ts";
import { startOfDocker } from "../dind/start.ts";

const benchmark: Benchmark = {
  title: "Docker in a container beside dockerd alone, alternating",
  async *run(context) {
    yield* startOfDocker(context);
    yield* filterCalls(context);
  },
};
export default benchmark;
