import type { Benchmark } from "../benchmark.ts";
import { filterCalls } from "../dind/filter-calls.ts";

const benchmark: Benchmark = {
  title: "Docker's API through the filter against dockerd's own socket, alternating",
  run: filterCalls,
};
export default benchmark;
