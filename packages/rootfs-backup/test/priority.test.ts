import { readFileSync } from "node:fs";
import { containerId } from "@aeon/core";
import { expect, test } from "vitest";
import { defaultWorkerCommand } from "../src/worker/archive-worker.ts";
import { removeContainer, runContainer } from "./containers.ts";
import { call, keyOf, space, startNode } from "./node.ts";
import { scratch } from "./scratch.ts";

/** Notes each job with the niceness that it gets, and lets the worker do it. */
const noting = `input=$(cat); job=\${input#*'"job":"'}; echo "\${job%%'"'*} $(nice)" >> "$0"; printf %s "$input" | "$@"`;

test("packing and deleting take what the machine has to spare, what a start waits for does not", async () => {
  using dir = scratch();
  const notes = dir.at("notes");
  await using node = await startNode({
    root: dir.at("node"),
    workerCommand: ["sh", "-c", noting, notes, ...defaultWorkerCommand()],
  });
  const id = await removeContainer(node, await runContainer(node, dir, { id: "a", script: "echo 1 > a" }));
  if (id === undefined) throw new Error("no backup was made");
  const wish = { backupId: id, namespace: space, containerId: containerId("b") };
  await node.backups.requestRestore(wish, call.signal);
  const key = keyOf("b");
  await node.snapshotter.prepare({ key, labels: {} }, call);
  node.containers.add("b", {});
  await node.snapshotter.mounts({ key }, call);
  await node.backups.settled(call.signal);
  const jobs = readFileSync(notes, "utf8").trimEnd().split("\n");
  expect(jobs.toSorted()).toEqual(["pack 19", "remove 19", "unpack 0"]);
});
