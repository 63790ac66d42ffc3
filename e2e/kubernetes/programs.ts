// Makes the programs of a cluster before the tests that need them, with progress on standard error: the first time on
// a machine takes about 12 minutes.
import { kubernetesProgram } from "@aeon/testkit";

for (const name of ["kube-apiserver", "etcd", "kubectl"] as const)
  console.error(`${name}: ${await kubernetesProgram(name)}`);
