import type {
  DescMethod,
  DescMethodBiDiStreaming,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import type { Caller } from "@aeon/core";

/** A generated service descriptor. */
export type AnyService = Pick<DescService, "typeName" | "methods"> & {
  readonly method: Record<string, unknown>;
};

/** How one call travels. */
export interface CallOptions {
  /** Cancels the call on the server too. */
  readonly signal?: AbortSignal;
  /** containerd's namespace and lease headers; overrides the client's own, an empty string sends none. */
  readonly metadata?: Caller;
  /** Milliseconds from now, or a point in time. */
  readonly deadline?: number | Date;
}

/** What a handler learns about the call it serves. */
export interface ServedCall {
  /** `/package.Service/Method`. */
  readonly method: string;
  /** Aborted when the client cancels, goes away, runs out of time, or the server is forced to end. */
  readonly signal: AbortSignal;
  readonly caller: Caller;
  /** First value of a request header, if sent. */
  readonly header: (name: string) => string | undefined;
}

/** The typed client of a service: promises for single replies, async iterables for streams. */
export type GrpcClient<Service extends AnyService> = {
  readonly [Name in keyof Service["method"]]: ClientMethod<Service["method"][Name]>;
};

type ClientMethod<Method> =
  Method extends DescMethodUnary<infer Input, infer Output>
    ? (request: MessageInitShape<Input>, options?: CallOptions) => Promise<MessageShape<Output>>
    : Method extends DescMethodServerStreaming<infer Input, infer Output>
      ? (
          request: MessageInitShape<Input>,
          options?: CallOptions,
        ) => AsyncIterableIterator<MessageShape<Output>>
      : Method extends DescMethodClientStreaming<infer Input, infer Output>
        ? (
            requests: AsyncIterable<MessageInitShape<Input>>,
            options?: CallOptions,
          ) => Promise<MessageShape<Output>>
        : Method extends DescMethodBiDiStreaming<infer Input, infer Output>
          ? (
              requests: AsyncIterable<MessageInitShape<Input>>,
              options?: CallOptions,
            ) => AsyncIterableIterator<MessageShape<Output>>
          : never;

/** The handlers of a service: async functions for single replies, async iterables for streams. */
export type GrpcHandlers<Service extends AnyService> = {
  readonly [Name in keyof Service["method"]]: HandlerMethod<Service["method"][Name]>;
};

type HandlerMethod<Method> =
  Method extends DescMethodUnary<infer Input, infer Output>
    ? (request: MessageShape<Input>, call: ServedCall) => Promise<MessageInitShape<Output>>
    : Method extends DescMethodServerStreaming<infer Input, infer Output>
      ? (request: MessageShape<Input>, call: ServedCall) => AsyncIterable<MessageInitShape<Output>>
      : Method extends DescMethodClientStreaming<infer Input, infer Output>
        ? (
            requests: AsyncIterable<MessageShape<Input>>,
            call: ServedCall,
          ) => Promise<MessageInitShape<Output>>
        : Method extends DescMethodBiDiStreaming<infer Input, infer Output>
          ? (
              requests: AsyncIterable<MessageShape<Input>>,
              call: ServedCall,
            ) => AsyncIterable<MessageInitShape<Output>>
          : never;

/** A service descriptor whose methods are reached by local name. */
export function methodsOf(service: AnyService): readonly DescMethod[] {
  return service.methods;
}
