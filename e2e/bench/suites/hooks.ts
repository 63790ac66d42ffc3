import type { Benchmark } from "../benchmark.ts";
import { launcher } from "../hooks/launcher.ts";

const benchmark: Benchmark = {
  title: "container-hooks-runtime before runc against runc alone, alternating",
  run: launcher,
};
export default benchmark;
