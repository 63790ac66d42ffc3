import type { ServiceProgress } from "@aeon/core";
import { containerService } from "@aeon/proto";
import { create, isMessage, type DescMessage, type Registry } from "@bufbuild/protobuf";
import { AnySchema, anyPack, type Any } from "@bufbuild/protobuf/wkt";
import { createContextKey, createContextValues, type HandlerContext } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { errorInterceptor } from "../admin/connect-error.ts";
import type { HttpHandler, HttpRequest } from "../admin/http-front.ts";
import { MessageQueue } from "../admin/message-queue.ts";
import type { Dispatcher, Incoming, Outcome, ServiceDirectory } from "./dispatcher.ts";
import { errors } from "./errors.ts";
import type { Caller } from "./pod-folder.ts";

export interface HandlerOptions {
  readonly dispatcher: Dispatcher;
  readonly services: ServiceDirectory;
  readonly callerOf: (request: HttpRequest) => Caller | undefined;
  /** Ends streams. */
  readonly signal: AbortSignal;
}

/** Largest request; parameters are names. */
const maxRequestBytes = 64 * 1024;
/** Largest answer: a list of some ten thousand backups. */
const maxAnswerBytes = 16 * 1024 * 1024;
/** Milliseconds that a call may take, at most. */
const maxTimeoutMs = 3_600_000;

const callerKey = createContextKey<Caller | undefined>(undefined);

/** Serves `aeon.v1.ContainerService` as gRPC, gRPC-Web and Connect. */
export function containerServiceHandler({
  dispatcher,
  services,
  callerOf,
  signal,
}: HandlerOptions): HttpHandler {
  const call = async (
    request: containerService.ServiceCallRequest,
    context: HandlerContext,
    onProgress?: Incoming["onProgress"],
  ): Promise<Any> => {
    const caller = context.values.get(callerKey);
    if (caller === undefined) throw errors.TOKEN_MISSING("the connection is gone");
    const { service, action, params = {} } = request;
    const authorization = context.requestHeader.get("authorization");
    const incoming = { caller, authorization, service, action, params, ...(onProgress && { onProgress }) };
    return packed(await dispatcher.call(incoming, context.signal));
  };
  return connectNodeAdapter({
    routes: (router) =>
      router.service(containerService.ContainerService, {
        serviceCall: (request, context) => call(request, context),
        async *serviceStream(request, context) {
          const messages = new MessageQueue<ServiceProgress>();
          const running = messages.endWith(call(request, context, (progress) => messages.put(progress)));
          for await (const progress of messages)
            yield { message: { case: "progress", value: progressMessage(progress) } };
          yield { message: { case: "result", value: await running } };
        },
      }),
    // The dispatcher has written its line about every failure.
    interceptors: [errorInterceptor(() => {})],
    contextValues: (request) => createContextValues().set(callerKey, callerOf(request)),
    jsonOptions: { registry: resultTypes(services), alwaysEmitImplicit: false },
    readMaxBytes: maxRequestBytes,
    writeMaxBytes: maxAnswerBytes,
    maxTimeoutMs,
    // Compressing for a peer on the same host only costs time, and unpacking a hostile request memory.
    acceptCompression: [],
    shutdownSignal: signal,
  });
}

const progressMessage = ({ phase, message = "", done = 0, total = 0 }: ServiceProgress) => ({
  phase,
  message,
  done: BigInt(Math.trunc(done)),
  total: BigInt(Math.trunc(total)),
});

function packed({ type, message }: Outcome): Any {
  if (!isDescMessage(type) || !isMessage(message, type))
    throw errors.SERVICE_RESULT_WRONG(`${message.$typeName} is no message of protobuf-es`);
  return create(AnySchema, anyPack(type, message));
}

const isDescMessage = (type: Outcome["type"]): type is DescMessage =>
  type.kind === "message" && "fields" in type && "proto" in type;

/** The types that an Any may hold in JSON: the results of the actions that there are now. */
function resultTypes(services: ServiceDirectory): Registry {
  const messages = (): DescMessage[] =>
    services.list().flatMap(({ actions }) =>
      Object.values(actions)
        .map(({ result }) => result)
        .filter(isDescMessage),
    );
  const getMessage = (name: string) => messages().find(({ typeName }) => typeName === name);
  return {
    kind: "registry",
    get: getMessage,
    getMessage,
    getEnum: () => undefined,
    getExtension: () => undefined,
    getExtensionFor: () => undefined,
    getService: () => undefined,
    [Symbol.iterator]: () => messages()[Symbol.iterator](),
  };
}
