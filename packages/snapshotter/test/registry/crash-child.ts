import { join } from "node:path";
import { createHookPipeline, openContainerRegistry } from "../../src/index.ts";
import { callBy, key } from "../support/call.ts";
import { MemorySnapshotter } from "../support/memory-snapshotter.ts";

/** Moves containers through their states until it is killed; prints each move once it is durable. */
const [folder = "", round = "0"] = process.argv.slice(2);
const backend = new MemorySnapshotter();
const registry = openContainerRegistry({ path: join(folder, "containers.db"), backend });
const pipeline = createHookPipeline({ backend });
for (const hook of registry.hooks) pipeline.register(hook);

async function work(worker: number): Promise<void> {
  for (let index = 0; ; index += 1) {
    const name = key(`k8s.io/${round}/w${worker}-${index}`);
    await pipeline.prepare({ key: name, labels: {} }, callBy());
    for (const state of ["ready", "backing-up", "backed-up"] as const) {
      await registry.transition(name, state);
      process.stdout.write(`${name} ${state}\n`);
    }
  }
}

await Promise.all([0, 1, 2, 3].map(work));
