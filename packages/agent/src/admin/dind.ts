import { containerId, namespace } from "@aeon/core";
import { isolationFields, type DindService } from "@aeon/dind";
import type { dind } from "@aeon/proto";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { AdminDeps } from "./deps.ts";
import { requireName, running } from "./require.ts";
import type { AdminCall } from "./service.ts";

type Methods = (typeof dind.DindService)["method"];

type Implementation<Method extends { input: DescMessage; output: DescMessage }> = (
  request: MessageShape<Method["input"]>,
  call: AdminCall,
) => Promise<MessageInitShape<Method["output"]>>;

/** `aeon.v1.DindService` as plain functions; they throw AeonErrors. */
export type DindServiceFunctions = { readonly [Name in keyof Methods]: Implementation<Methods[Name]> };

interface Main {
  readonly namespace: string;
  readonly id: string;
}

/** Docker in pods behind the admin socket. */
export function dindAdmin(deps: Pick<AdminDeps, "dind">): DindServiceFunctions {
  const service = (): DindService => running(deps.dind(), "the plugin dind");
  return {
    listDinds: async () => ({ dinds: (await service().list()).map(message) }),
    getDind: async ({ main }) => ({ dind: message(await service().status(mainOf(main))) }),
    startDind: async ({ main, lazy }, { signal }) => ({
      dind: message(await service().start(mainOf(main), { lazy }, signal)),
    }),
    stopDind: async ({ main }) => ({ dind: message(await service().stop(mainOf(main))) }),
    restartDind: async ({ main }, { signal }) => ({
      dind: message(await service().restart(mainOf(main), signal)),
    }),
    showDindConfig: async ({ main }) => ({
      settings: (await service().showConfig(mainOf(main))).map(({ key, value, source, live }) => ({
        key,
        value: JSON.stringify(value),
        source,
        live,
      })),
    }),
    importDindImage: (request, { signal }) =>
      service().importImage(
        requireName(request.namespace, "namespace"),
        requireName(request.file, "file"),
        signal,
      ),
  };
}

/** Checked as every name from a request. */
function mainOf(main: dind.DindMain | undefined): Main {
  return {
    namespace: namespace(requireName(main?.namespace ?? "", "namespace")),
    id: containerId(requireName(main?.containerId ?? "", "container_id")),
  };
}

function message(
  status: Awaited<ReturnType<DindService["status"]>>,
): MessageInitShape<typeof dind.DindSchema> {
  const { namespace: space, id, state, reason, restarts, container, pid, since, isolation } = status;
  return {
    main: { namespace: space, containerId: id },
    state,
    reason,
    restarts,
    container,
    pid: pid ?? 0,
    ...isolationFields(isolation),
    ...(since > 0 && { since: timestampFromMs(since) }),
  };
}
