import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { errors } from "../errors.ts";
import type { NamespaceAnswer, NamespaceTask } from "./namespace-worker.ts";

/** MiB; it makes a few system calls and ends. */
const limits = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 32, stackSizeMb: 1 };

/**
 * Does something in the namespaces of other processes, on a thread that ends afterwards: a thread can change its
 * namespaces alone, and Node's own threads must not. Throws `DIND_NAMESPACE_FAILED`.
 */
export async function inNamespaces(task: NamespaceTask): Promise<string> {
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const worker = new Worker(new URL(`./namespace-worker.${extension}`, import.meta.url), {
    name: "aeon-namespace",
    resourceLimits: limits,
    workerData: task,
    // Descriptors are closed by who opened them; some come from calls that Node does not know.
    trackUnmanagedFds: false,
  });
  const exited = once(worker, "exit");
  const first = await Promise.race([once(worker, "message"), exited.then(() => undefined)]);
  await exited;
  const answer: NamespaceAnswer = first?.[0] ?? { ok: false, message: "the thread ended" };
  if (!answer.ok) throw errors.DIND_NAMESPACE_FAILED(`${task.kind}: ${answer.message}`);
  return answer.value;
}
