import { eventLoop } from "../backup/event-loop.ts";
import { pack } from "../backup/pack.ts";
import { remove } from "../backup/remove.ts";
import { restore } from "../backup/restore.ts";
import { store } from "../backup/store.ts";
import type { Benchmark } from "../benchmark.ts";

const benchmark: Benchmark = {
  title: "backup and restore by the shipped agent, against tar and zstd on the same tree, alternating",
  async *run(context) {
    yield* remove(context);
    yield* pack(context);
    yield* restore(context);
    yield* store(context);
    yield* eventLoop(context);
  },
};
export default benchmark;
