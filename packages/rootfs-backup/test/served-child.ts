// A served node in a process of its own, which dies by SIGKILL right after a step or ends with its standard input.
// Usage: served-child.ts ROOT CONTAINERD WHEN [CONTAINER], where WHEN is a step's name or "never"; with CONTAINER it
// takes a backup of that container, standing still. Says "ready" when it is served.
import { text } from "node:stream/consumers";
import { containerId, namespace } from "@aeon/core";
import { steps, type StepReached } from "../src/capture/steps.ts";
import { call } from "./node.ts";
import { serveNode } from "./served-node.ts";

const [root = "", containerd = "", when = "never", container] = process.argv.slice(2);
steps.subscribe((message) => {
  const { step } = message as StepReached;
  if (step === when) process.kill(process.pid, "SIGKILL");
});
// Layers are settled when their successors start, which is what these nodes die of.
await using node = await serveNode({ root, containerd, config: { "on-exit": "wait" } });
process.stdout.write("ready\n");
if (container !== undefined)
  await node.backups.create(
    {
      namespace: namespace("k8s.io"),
      containerId: containerId(container),
      trigger: "manual",
      pause: { maxMs: 60_000, otherwise: "fail" },
    },
    { signal: call.signal },
  );
await text(process.stdin);
