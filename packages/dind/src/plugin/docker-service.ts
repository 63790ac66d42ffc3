import { defineAction, type ContainerCaller, type ContainerEntry, type ContainerService } from "@aeon/core";
import { dind } from "@aeon/proto";
import { create } from "@bufbuild/protobuf";
import * as v from "valibot";
import type { DindStatus } from "../controller/controller-options.ts";
import type { MainContainer } from "../controller/places.ts";
import { errors } from "../errors.ts";
import type { DindService } from "./dind-service.ts";
import { isolationFields } from "./isolation-fields.ts";

const params = v.strictObject({
  container: v.optional(v.pipe(v.string(), v.description("which container of the pod, when it has several"))),
});

/** The container that a caller means: the one it calls from, the one it names, or the only one there is. */
export function mainOf(
  { container, containers }: Pick<ContainerCaller, "container" | "containers">,
  name: string | undefined,
): MainContainer {
  const isMeant = (entry: ContainerEntry): boolean =>
    entry.pod?.container === name || entry.containerId === name;
  const only = containers.length === 1 ? containers[0] : undefined;
  const found = name === undefined ? (container ?? only) : containers.find(isMeant);
  if (found?.containerId === undefined) throw errors.DIND_NOT_FOUND(whyNone(containers, name));
  return { namespace: found.namespace, id: found.containerId };
}

function whyNone(containers: ContainerCaller["containers"], name: string | undefined): string {
  if (containers.length === 0)
    return "aeon knows no container of the pod: only those with its snapshotter (runtimeClassName: aeon) are looked after";
  return name === undefined
    ? "the pod has several containers; name one with the parameter container"
    : `the pod has no container ${name}`;
}

const stateOf = (status: DindStatus) =>
  create(dind.DindSchema, {
    main: { namespace: status.namespace, containerId: status.id },
    state: status.state,
    reason: status.reason,
    restarts: status.restarts,
    ...isolationFields(status.isolation),
  });

/** What a container may do about its own Docker. */
export function dockerService(service: DindService): ContainerService {
  const action = (
    description: string,
    changes: boolean,
    call: (main: MainContainer, signal: AbortSignal) => Promise<DindStatus>,
  ) =>
    defineAction({
      description,
      params,
      changes,
      result: dind.DindSchema,
      run: async ({ caller, params: { container } }, signal) =>
        stateOf(await call(mainOf(caller, container), signal)),
    });
  return {
    name: "docker",
    description: "a dockerd of the container's own",
    actions: {
      status: action("say how Docker does, and why", false, (main) => service.status(main)),
      start: action("start Docker and wait until it serves", true, (main, signal) =>
        service.start(main, { lazy: false }, signal),
      ),
      stop: action("stop Docker; images and volumes stay", true, (main) => service.stop(main)),
      restart: action("stop and start Docker", true, (main, signal) => service.restart(main, signal)),
      "show-config": defineAction({
        description: "say what Docker's settings are and where each comes from",
        params,
        result: dind.ShowDindConfigResponseSchema,
        run: async ({ caller, params: { container } }) =>
          create(dind.ShowDindConfigResponseSchema, {
            settings: (await service.showConfig(mainOf(caller, container))).map(
              ({ key, value, source, live }) => ({
                key,
                value: JSON.stringify(value),
                source,
                live,
              }),
            ),
          }),
      }),
    },
  };
}
