import { defineAction, type ContainerCaller, type ContainerEntry, type ContainerService } from "@aeon/core";
import { containerService } from "@aeon/proto";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import * as v from "valibot";
import type { ServiceDirectory } from "./dispatcher.ts";

export interface InfoOptions {
  readonly version: string;
  readonly node: string;
  readonly services: ServiceDirectory;
}

/** Says who the caller is to the agent, and what it may ask. */
export function infoService({ version, node, services }: InfoOptions): ContainerService {
  const show = (caller: ContainerCaller) =>
    create(containerService.InfoSchema, {
      version,
      node,
      ...(caller.pod && { pod: caller.pod }),
      containers: caller.containers.map(containerInfo),
      services: services.list().map(({ name, description, actions }) => ({
        name,
        description,
        actions: Object.entries(actions).map(([action, { description: text, result, changes }]) => ({
          name: action,
          description: text,
          result: result.typeName,
          changes,
        })),
      })),
      authenticatedBy: caller.proof.kind,
      container: caller.container === undefined ? "" : nameOf(caller.container),
    });
  return {
    name: "info",
    description: "Who the caller is to the agent, and what it may ask.",
    actions: {
      show: defineAction({
        description: "Shows pod, containers and services.",
        params: v.strictObject({}),
        result: containerService.InfoSchema,
        run: async ({ caller }) => show(caller),
      }),
    },
  };
}

const nameOf = ({ pod, containerId }: ContainerEntry): string => pod?.container ?? containerId ?? "";

const containerInfo = (entry: ContainerEntry) => ({
  id: entry.containerId ?? "",
  name: nameOf(entry),
  image: entry.image ?? "",
  state: entry.state,
  failure: entry.failure ?? "",
  createdAt: timestampFromMs(Number(entry.createdAt / 1_000_000n)),
});
