import { isDeepStrictEqual } from "node:util";
import type { AgentConfig } from "./config/agent-schema.ts";

/** Keys of the agent's own tables that differ and only apply after a restart; the log's level applies at once. */
export function pendingKeys(before: AgentConfig, after: AgentConfig): readonly string[] {
  const { log: logBefore, ...othersBefore } = before;
  const { log: logAfter, ...othersAfter } = after;
  const format = logBefore.format === logAfter.format ? [] : ["log.format"];
  return [...format, ...differences(othersBefore, othersAfter)];
}

const own = ["version", "root", "state", "plugins", "metrics", "containerd"] as const;

const differences = (
  before: Pick<AgentConfig, (typeof own)[number]>,
  after: Pick<AgentConfig, (typeof own)[number]>,
): readonly string[] => own.filter((key) => !isDeepStrictEqual(before[key], after[key]));
