import type { admin } from "@aeon/proto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { containerMessage, containerState } from "./convert.ts";
import type { AdminDeps } from "./deps.ts";
import { running } from "./require.ts";

/** The registry's entries that the request selects, oldest first. */
export function listContainers(
  deps: AdminDeps,
  request: admin.ListContainersRequest,
): MessageInitShape<typeof admin.ListContainersResponseSchema> {
  const entries = running(deps.containers(), "the container registry")
    .list()
    .filter(({ namespace }) => request.namespace === "" || namespace === request.namespace)
    .filter(({ state }) => request.states.length === 0 || request.states.includes(containerState(state)))
    .toSorted((a, b) => Number(a.createdAt - b.createdAt));
  return { containers: entries.map(containerMessage) };
}
