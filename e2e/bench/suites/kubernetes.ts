import type { Benchmark } from "../benchmark.ts";
import { fleet } from "../kubernetes/fleet.ts";

const benchmark: Benchmark = {
  title: "5 000 simulated agents and up to 150 000 pods on one real API server (Kubernetes 1.20, etcd 3.4)",
  run: fleet,
};
export default benchmark;
