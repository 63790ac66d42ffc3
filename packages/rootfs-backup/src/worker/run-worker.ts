import { text } from "node:stream/consumers";
import { grpcStatusOf, linux, toAeonError } from "@aeon/core";
import { finish, measureTree, removeTree } from "@aeon/core/trees";
import * as v from "valibot";
import { packFile, unpackFile } from "../archive/layer-file.ts";
import { stackOf } from "../archive/layer-stack.ts";
import { weighStack } from "../archive/weigh-stack.ts";
import { makeImage } from "../restore/make-image.ts";
import { findConflicts } from "../restore/conflicts.ts";
import { jobSchema, type Job } from "./job.ts";

/**
 * The main function of a worker process: runs the job on standard input and writes its result to standard
 * output. Ends when the agent does. Resolves to the process's exit code.
 */
export async function runWorker(): Promise<number> {
  linux.signalOnParentDeath("SIGKILL");
  process.umask(0);
  try {
    const job = v.parse(jobSchema, JSON.parse(await text(process.stdin)));
    answer(await run(job));
    return 0;
  } catch (error) {
    const { code, reason, message } = toAeonError(error, "archive worker");
    answer({ error: { status: grpcStatusOf(code), reason, message } });
    return 1;
  }
}

const answer = (value: unknown): void => {
  process.stdout.write(`${JSON.stringify(value)}\n`);
};

const tell = (bytes: number): void => answer({ progress: { bytes } });

async function run(job: Job): Promise<object> {
  let result: object = {};
  switch (job.job) {
    case "pack":
      result = await packFile(job, job.progress === true ? tell : undefined);
      break;
    case "unpack":
      await unpackFile(job);
      break;
    case "remove":
      finish(removeTree(job.path));
      break;
    case "conflicts":
      result = findConflicts(job);
      break;
    case "image":
      result = { bytes: makeImage(job) };
      break;
    case "weigh":
      result = { bytes: weighStack(stackOf(job)) };
      break;
    case "verify": {
      // Only this job needs a store.
      const { verifyInStore } = await import("../store/scrub/verify-in-store.ts");
      result = { bytes: await verifyInStore(job) };
      break;
    }
    case "measure":
      result = { bytes: finish(measureTree(job.path)).size };
      break;
  }
  return result;
}
