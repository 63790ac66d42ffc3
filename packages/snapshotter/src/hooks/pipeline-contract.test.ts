import { describe } from "vitest";
import { MemorySnapshotter } from "../../test/support/memory-snapshotter.ts";
import { snapshotterContract } from "../../test/support/snapshotter-contract.ts";
import { createHookPipeline } from "./pipeline.ts";

const seen = async () => undefined;

describe("the test double", () => {
  const memory = new MemorySnapshotter();
  snapshotterContract(() => memory, { filters: false });
});

describe("a pipeline whose hooks change nothing", () => {
  const pipeline = createHookPipeline({ backend: new MemorySnapshotter() });
  pipeline.register({
    name: "watch",
    timeoutMs: 1000,
    onFailure: "fail",
    prePrepare: seen,
    postPrepare: seen,
    preView: seen,
    postView: seen,
    preMounts: seen,
    postMounts: seen,
    preCommit: seen,
    postCommit: seen,
    preRemove: seen,
    postRemove: seen,
    preStat: seen,
    postStat: seen,
    preUpdate: seen,
    postUpdate: seen,
    preList: seen,
    postList: async (_, outcome) => (outcome.ok ? outcome.reply : undefined),
    preUsage: seen,
    postUsage: seen,
    preCleanup: seen,
    postCleanup: seen,
  });
  snapshotterContract(() => pipeline, { filters: false });
});
