import type { Benchmark } from "../benchmark.ts";
import { fleet } from "../kubernetes/fleet.ts";

const benchmark: Benchmark = {
  title:
    "simulated agents on one real API server: 1 000 and up to 20 000 pods, with --full 5 000 and 150 000 (Kubernetes 1.20, etcd 3.4)",
  run: fleet,
};
export default benchmark;
